"""How much of a core the loader spends on anything but decoding: it against a plain reading of the shards.

    python -m benchmarks.loader CORPUS [--frames 5] [--batch 8] [--rounds 5] [--workers 0]

Both make the same samples, by the same decoding, into batches. The plain reading takes each shard whole into memory
and walks through it, and knows beforehand what to decode: no order, no draws, no manifest. The loader reads in its
own order, as training does. They take turns, a round each, so that whatever else the machine does hits both, and
what is counted is the time of cores, of the loader's workers too.
"""

from __future__ import annotations

import argparse
import io
import statistics
from collections.abc import Iterator
from pathlib import Path

import psutil

from manifests import tar
from manifests.reader import CorpusReader
from training.data.batch import Sample, collate
from training.data.choice import Choice, ReferenceWeights, choose
from training.data.clips import PICTURES, Clips
from training.data.loader import PortraitLoader
from training.data.samples import make_sample

GOAL = 0.90
SEED = 0
WITHIN = ReferenceWeights(clip=0.0)
"""References are of the same clip, so that a plain reading has them at hand."""


def plain(clips: Clips, shards: list[Path], choices: dict[str, Choice], batch: int) -> Iterator[Sample]:
    """Batches of all chosen clips, in the order they lie in."""
    samples: list[Sample] = []
    for shard in shards:
        data = shard.read_bytes()
        members: dict[str, dict[str, bytes]] = {}
        for entry in tar.entries(io.BytesIO(data), len(data)):
            key, _, name = entry.name.partition(".")
            members.setdefault(key, {})[name] = data[entry.offset : entry.offset + entry.size]
        for key, fetched in members.items():
            if choice := choices.get(key):
                samples.append(decoded(clips, choice, fetched))
                if len(samples) == batch:
                    yield collate(samples)
                    samples = []


def decoded(clips: Clips, choice: Choice, fetched: dict[str, bytes]) -> Sample:
    frame = range(choice.reference_frame, choice.reference_frame + 1)
    return make_sample(
        clips.decode(choice.clip, fetched, choice.view, choice.frames, PICTURES),
        clips.decode(choice.clip, fetched, choice.reference_view, frame, ("rgb",)),
    )


def timed(batches: Iterator[Sample], count: int) -> float:
    """Samples a second of one core, over so many batches."""
    start, samples = core_seconds(), 0
    for _, batch in zip(range(count), batches, strict=False):
        samples += len(batch.key)
    return samples / (core_seconds() - start)


def core_seconds() -> float:
    """What this process and its workers have used."""
    this = psutil.Process()
    times = [process.cpu_times() for process in (this, *this.children(recursive=True))]
    return sum(time.user + time.system for time in times)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("corpus", help="a local folder")
    parser.add_argument("--frames", type=int, default=5)
    parser.add_argument("--batch", type=int, default=8)
    parser.add_argument("--rounds", type=int, default=5, help="each is a pass over the corpus")
    parser.add_argument("--workers", type=int, default=0)
    options = parser.parse_args()

    clips = Clips(options.corpus, frames=options.frames)
    (source,) = CorpusReader(options.corpus).sources
    paths = [source.corpus.layout.shard_path(n) for n in sorted({clips.info(i).shard for i in range(len(clips))})]
    shards = [Path(options.corpus) / path for path in paths]
    loader = PortraitLoader(
        clips,
        batch_size=options.batch,
        frames=options.frames,
        references=WITHIN,
        seed=SEED,
        workers=options.workers,
    )
    height, width = clips.resolution
    print(f"{len(clips)} clips, {options.frames} frames of {width}x{height}; {len(loader)} batches of {options.batch}")
    print(f"{'round':>5} {'plain':>9} {'loader':>9} {'ratio':>6}    samples a second of one core")
    ratios: list[float] = []
    next(iter(loader))  # workers start, files come into the system's cache
    for number in range(options.rounds):
        drawn = (choose(clips, i, options.frames, 1, WITHIN, SEED, number) for i in range(len(clips)))
        choices = {clips.key(choice.clip): choice for choice in drawn}
        by_plain = timed(plain(clips, shards, choices, options.batch), len(loader))
        loader.start_at((number + 1) * len(loader) * options.batch)
        by_loader = timed(iter(loader), len(loader))
        ratios.append(by_loader / by_plain)
        print(f"{number:5} {by_plain:9.1f} {by_loader:9.1f} {ratios[-1]:6.3f}")
    middle = statistics.median(ratios)
    print(f"the loader does {middle:.1%} of a plain reading (median); at least {GOAL:.0%} is wanted")


if __name__ == "__main__":
    main()
