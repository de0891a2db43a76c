"""Encoding a corpus once, so that training reads latents and runs no codec."""

from __future__ import annotations

import collections
import contextlib
import itertools
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Final

import pyarrow.parquet as pq

from manifests.errors import UserError
from manifests.layout import MANIFEST, SHARDS, part_path
from manifests.reader import CorpusReader
from manifests.storage import Storage
from manifests.table import OK
from training.codec.codec import latent_size, slots
from training.codec.load import load_codec
from training.data.choice import window_span
from training.data.clips import Clips
from training.device import check_device
from training.expression.load import load_encoder
from training.latents.encode import Job, ShardTask, Written, encode_shard
from training.latents.record import FORMAT_VERSION, CacheRecord, settle_record
from training.progress import Show, silent

_NAMED: Final = 5

Wait = Callable[[], Written]
Submit = Callable[[ShardTask], Wait]
"""Begins a shard; what it returns waits for it."""


@dataclass(frozen=True)
class CacheReport:
    """A cache that is complete."""

    out: str
    clips: int
    shards: int
    written: int
    """Shards that this run encoded; the others were there."""
    bytes: int
    """Of those it encoded."""
    left_out: tuple[str, ...]
    """Why clips are missing in them: each one's key, and what is wrong with it."""

    def __str__(self) -> str:
        said = (
            f"{self.out}: latents of {self.clips - len(self.left_out)} clips in {self.shards} shards, {self.written} "
            f"of them encoded now ({self.bytes / 1e6:.1f} MB)"
        )
        if not self.left_out:
            return said
        some = "\n".join(f"  {reason}" for reason in self.left_out[:_NAMED])
        return f"{said}\n{len(self.left_out)} clips cannot be read and are left out; the first:\n{some}"


def cache_latents(
    corpus: str,
    out: str,
    *,
    codec: str,
    expression: str | None = None,
    split: str | None = None,
    frames: int | None = None,
    stride: int | None = None,
    step: int = 1,
    workers: int | None = None,
    address: str | None = None,
    device: str = "cpu",
    progress: Show = silent,
) -> CacheReport:
    """Write the latents of every view of every clip of a split (None: of all) into ``out``, a folder or URL.

    A codec of video looks back from a frame to the start of its window, so a cache fixes the windows: ``frames`` (4k
    + 1 for a temporal stride of 4), of which each is ``step`` behind the last, and each window begins ``stride`` frames
    of the clip behind the one before, the first at frame 0; what is left at a clip's end is no window. Unless given,
    ``frames`` are as many as the shortest clip has and the codec takes, and windows follow on one another. ``codec``
    and ``expression`` are folders of trained models; with the second, codes of every frame are held as well.

    A shard of the corpus makes one of the cache, and its manifest part commits it: run again, it does what is missing,
    as after a kill or when the corpus has grown. A clip that cannot be read is left out, and tried again then. Equal
    corpus, models and windows give equal bytes on equal machines, in this process (no ``workers``), on so many local
    workers, or on the Ray cluster at ``address``.

    Raises UserError for a place that holds other latents; for models, windows and pictures that do not go together;
    where no clip at all can be read; and behind all other shards for those that could not be encoded.
    """
    storage = Storage(out)
    if address is None:
        check_device(device)
    elif device not in ("cpu", "cuda"):
        raise UserError(f"device: {device} given; give cpu or cuda, of which the cluster gives each worker one")
    job = _prepare(corpus, storage, codec, expression, split, frames, stride, step, device)
    tasks = _tasks(job.clips)
    with storage.lock(), storage.problems():
        settle_record(storage, job.record)
        storage.clean(SHARDS)
        storage.clean(MANIFEST)
        missing = [task for task in tasks if not _is_done(storage, job, task)]
        written = _run(job, missing, len(tasks), workers, address, progress)
    left_out = tuple(reason for shard in written for reason in shard.left_out)
    if len(left_out) == len(job.clips):
        raise UserError(f"{corpus}: no clip can be read, the first: {left_out[0]}")
    size = sum(shard.bytes for shard in written)
    return CacheReport(storage.url, len(job.clips), len(tasks), len(missing), size, left_out)


def _prepare(
    corpus: str,
    storage: Storage,
    codec: str,
    expression: str | None,
    split: str | None,
    frames: int | None,
    stride: int | None,
    step: int,
    device: str,
) -> Job:
    reader = CorpusReader(corpus)
    if reader.is_view:
        raise UserError(f"{reader.url}: is a view; cache each of its {len(reader.sources)} corpora in its own folder")
    loaded = load_codec(codec)
    digest, code_size = None, 0
    if expression is not None:
        encoder = load_encoder(expression)
        digest, code_size = encoder.digest, encoder.code_size
    for name, value in (("frames", frames), ("stride", stride), ("step", step)):
        if value is not None and value < 1:
            raise UserError(f"{name}: {value} given; must be 1 or more")
    if frames is None:
        shortest = (int(Clips(reader.url, split=split).frames.min()) - 1) // step
        frames = shortest // loaded.temporal_stride * loaded.temporal_stride + 1
    span = window_span(frames, step)
    clips = Clips(reader.url, split=split, frames=span)
    height, width = clips.resolution
    rows, columns = latent_size(loaded, height, width)
    source = reader.sources[0].corpus
    record = CacheRecord(
        format_version=FORMAT_VERSION,
        corpus=source.name,
        config_hash=source.config_hash,
        clips=source.clips,
        clips_per_shard=source.clips_per_shard,
        split=split,
        height=height,
        width=width,
        codec=loaded.digest,
        expression=digest,
        frames=frames,
        stride=stride or span,
        step=step,
        channels=loaded.channels,
        slots=slots(loaded, frames),
        rows=rows,
        columns=columns,
        code_size=code_size,
    )
    folder = str(Path(expression).resolve()) if expression is not None else None
    return Job(clips, record, storage.url, str(Path(codec).resolve()), folder, device)


def _tasks(clips: Clips) -> list[ShardTask]:
    starts = clips.shard_starts.tolist()
    return [ShardTask(clips.info(start).shard, range(start, stop)) for start, stop in itertools.pairwise(starts)]


def _is_done(storage: Storage, job: Job, task: ShardTask) -> bool:
    """Whether the shard is committed with all clips it is to hold; a corpus that grew may have more now, and one that
    was damaged may be whole again."""
    path = part_path(task.shard)
    try:
        with storage.open(path) as file:
            rows = pq.read_table(file, columns=["key", "status"])
    except FileNotFoundError:
        return False
    except (OSError, ValueError):  # damaged: it is written anew
        return False
    keys, status = rows["key"].to_pylist(), rows["status"].to_pylist()
    return keys == [job.clips.key(i) for i in task.clips] and set(status) == {OK}


def _run(
    job: Job, missing: list[ShardTask], total: int, workers: int | None, address: str | None, progress: Show
) -> list[Written]:
    """What fails stops no other shard."""
    done = total - len(missing)
    written: list[Written] = []
    failed: list[str] = []
    if not missing:
        return []
    with _workers(job, workers, address) as (submit, at_once):
        begun: collections.deque[Wait] = collections.deque()
        waiting = iter(missing)
        progress(done, total, f"{done} of {total} shards")
        while True:
            while len(begun) < at_once and (task := next(waiting, None)) is not None:
                begun.append(submit(task))
            if not begun:
                break
            try:
                written.append(begun.popleft()())
                done += 1
            except UserError as error:
                failed.append(str(error))
            progress(done, total, f"{done} of {total} shards")
    if failed:
        raise UserError(f"{len(failed)} of {total} shards could not be encoded, the others are there: {failed[0]}")
    return written


@contextlib.contextmanager
def _workers(job: Job, workers: int | None, address: str | None) -> Iterator[tuple[Submit, int]]:
    """Something that takes a shard, and how many it takes before one is waited for."""
    if workers is not None and workers < 1:
        raise UserError(f"workers: {workers} given; must be 1 or more")
    if address is None and (workers is None or workers == 1):
        yield lambda task: lambda: encode_shard(job, task), 1
        return
    from training.latents.on_ray import on_ray

    with on_ray(job, workers, address) as (submit, at_once):
        yield submit, at_once
