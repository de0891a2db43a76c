"""How fast a manifest of ten million clips is queried, audited and reported, and in how much memory.

    python -m benchmarks.manifest [--clips N] [--out FOLDER] [--only query,audit,report]

Makes a corpus of the shipped configuration ``cluster`` (16 clips a shard; one view, one label) in a temporary
folder, or in FOLDER, which is kept and used again. Its manifest is true: the writer, the columns and the files
of a finished run. Its values are drawn, not sampled as clips are, hashes come from a small pool, and its shards
are empty files of the right size. Then each reading command runs in a process of its own, which says its seconds
and its peak of resident memory.
"""

from __future__ import annotations

import argparse
import contextlib
import json
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc
from numpy.typing import NDArray

from datagen.config import CorpusConfig, load_config
from datagen.heads import head_info
from datagen.sampling.identity import split_of
from manifests.clip import HeadInfo
from manifests.conventions import FORMAT_VERSION
from manifests.corpus import Corpus, installed_version, write_corpus
from manifests.layout import CORPUS_FILE, SHARDS, compacted_path
from manifests.manifest import ROWS_PER_GROUP, SHARDS_PER_FILE
from manifests.runlog import FINISHED, RunRecord, new_run_path, write_run
from manifests.storage import Storage
from manifests.table import OK, QUARANTINED, SCHEMA, table_writer
from manifests.tar import BLOCK, END

COUNTS = "SELECT split, recipe, template, count(*) AS clips FROM clips GROUP BY ALL ORDER BY ALL"

COMMANDS = {
    "query": f"from manifests.query import query; query(out, {COUNTS!r})",
    "audit": "from manifests.audit.audit import audit; audit(out)",
    "report": "from manifests.audit.audit import audit; from manifests.report import write_report; "
    "write_report(out, out + '.html', audit(out))",
}
"""What is measured, as the commands do it; ``out`` is the corpus."""

_MEMBERS = {  # name: about its bytes
    "spec.json": 4_700,
    "motion.npz": 46_000,
    "cameras.npz": 17_000,
    "landmarks.npz": 86_000,
    "v00.rgb.mp4": 2_600_000,
    "v00.alpha.mkv": 700_000,
    "v00.pose_normals.mkv": 9_000_000,
    "v00.segmentation.mkv": 420_000,
}
_POOL = 256
"""How many different hashes and sizes of each member there are: real ones would fill 5 GB of disk."""
_UNIQUE = "v00.rgb.mp4"
"""The member whose hash differs in every clip, as no two real clips look the same."""
_QUARANTINED_SHARE = 1e-5
_CLIPS_PER_S = 40.0

Array = NDArray[Any]


def make_corpus(out: Path, clips: int) -> None:
    """Write the corpus. Equal `clips` give equal bytes."""
    overrides = {"name": "scale", "clips": str(clips), "views": "1", "labels": "[segmentation]"}
    config = load_config("cluster", overrides)
    head = head_info(config.head)
    corpus = Corpus(
        format_version=FORMAT_VERSION,
        name=config.name,
        clips=clips,
        clips_per_shard=config.clips_per_shard,
        config_hash=config.content_hash(head),
        config=json.loads(config.to_json()),
        software={name: installed_version(name) for name in ("av", "bpy", "factorportrait", "numpy")},
    )
    storage = Storage(str(out))
    write_corpus(storage, corpus)
    (out / SHARDS).mkdir()
    splits = [split_of(config, identity) for identity in range(min(clips, config.identities))]
    quarantined = 0
    for first in range(0, corpus.layout.shards, SHARDS_PER_FILE):
        last = min(first + SHARDS_PER_FILE, corpus.layout.shards) - 1
        start, stop = corpus.layout.clips_of(first).start, corpus.layout.clips_of(last).stop
        rows, shard_sizes = _rows(corpus, config, head, pa.array(splits), start, stop)
        quarantined += pc.sum(pc.equal(rows.column("status"), QUARANTINED)).as_py()
        with storage.stream(compacted_path(first, last)) as sink, table_writer(sink) as writer:
            for group in range(0, len(rows), ROWS_PER_GROUP):
                writer.write_table(rows.slice(group, ROWS_PER_GROUP).combine_chunks())
        for shard, size in enumerate(shard_sizes, first):
            with open(out / corpus.layout.shard_path(shard), "wb") as file:
                file.truncate(size)
    seconds = clips / _CLIPS_PER_S
    history = [(seconds * step / 100, clips * step // 100) for step in range(101)]
    record = RunRecord(0.0, seconds, FINISHED, 64, clips, clips, quarantined, history=history)
    write_run(storage, new_run_path(storage), record)


def _rows(
    corpus: Corpus, config: CorpusConfig, head: HeadInfo, splits: pa.Array, start: int, stop: int
) -> tuple[pa.Table, Array]:
    """Rows of clips [start, stop), which are whole shards, and the bytes of each shard's tar."""
    rng = np.random.default_rng(start)
    count = stop - start
    index = np.arange(start, stop)
    shard = index // corpus.clips_per_shard
    identity = index % config.identities
    ok = rng.random(count) >= _QUARANTINED_SHARE

    def draw(low: float, high: float) -> Array:
        return rng.uniform(low, high, count)

    def choose(weights: dict[str, float]) -> pa.Array:
        share = np.array(list(weights.values())) / sum(weights.values())
        return pa.array(list(weights)).take(pa.array(rng.choice(len(weights), count, p=share)))

    def constant(value: Any) -> pa.Array:
        return pa.repeat(pa.scalar(value), count)

    def span(name: str, middle: Array, width: Array) -> dict[str, Array]:
        return {f"{name}_min": middle - width / 2, f"{name}_max": middle + width / 2}

    camera, motion, look = config.camera, config.motion, config.appearance
    members, offsets, sizes, shard_sizes = _members(rng, shard, ok)
    people = np.random.default_rng(0)
    melanin = people.uniform(*look.melanin, config.identities)
    age, gender = people.uniform(20, 80, config.identities), people.uniform(0, 1, config.identities)
    columns: dict[str, Any] = {
        "head": constant(head.name),
        "head_sha256": constant(head.sha256),
        "identity": identity,
        "split": splits.take(pa.array(identity)),
        "recipe": choose(dict(config.recipes.items())),
        "template": choose({name: template.weight for name, template in config.templates.items()}),
        "frames": constant(config.frames),
        "fps": constant(config.fps),
        "views": constant(config.views),
        "width": constant(config.resolution[0]),
        "height": constant(config.resolution[1]),
        "labels": constant(list(config.labels)),
        "seed": constant(config.seed),
        **span("camera_yaw_deg", draw(*camera.yaw_deg) * 0.9, draw(0, 36)),
        **span("camera_pitch_deg", draw(*camera.pitch_deg) * 0.9, draw(0, 3)),
        **span("camera_distance_m", draw(*camera.distance_m), draw(0, 0.05)),
        "focal_length_mm": draw(*camera.focal_length_mm),
        "trajectory": choose(dict(camera.trajectories.items())),
        **span("head_yaw_deg", draw(*motion.yaw_deg) * 0.7, draw(0, 20)),
        **span("head_pitch_deg", draw(*motion.pitch_deg) * 0.7, draw(0, 10)),
        "expression_activity": rng.gamma(8, 0.15, count),
        "age_years": age[identity],
        "gender": gender[identity],
        "ancestry": choose(dict(config.identity.ancestries.items())),
        "melanin": melanin[identity],
        "hair_style": choose(dict(look.feminine_hair.items())),
        "facial_hair": choose(dict(look.facial_hair.items())),
        "clothing": choose(dict(look.clothes.items())),
        "glasses": choose(dict(look.glasses.items())),
        "head_covering": choose(dict(look.head_coverings.items())),
        "light_power_w": rng.gamma(6, 9, count),
        "background": choose({"black": 2, "colour": 1, "world": 1}),
        "offset": offsets,
        "size": sizes,
    }
    rendered = pa.array(ok)
    keys = pc.utf8_lpad(pc.cast(pa.array(index), pa.string()), 9, "0")
    made: dict[str, Any] = {
        "index": pa.array(index),
        "key": pc.binary_join_element_wise(corpus.name, keys, "-"),
        "shard": pa.array(shard),
        "status": pc.if_else(rendered, OK, QUARANTINED),
        "error": pc.if_else(rendered, pa.scalar(None, pa.string()), "RuntimeError: the renderer stopped"),
        "config_hash": constant(corpus.config_hash),
        "members": members,
        **{
            name: pc.if_else(rendered, pa.array(column), pa.scalar(None, pa.array(column).type))
            for name, column in columns.items()
        },
    }
    arrays = [made[field.name].cast(field.type) for field in SCHEMA]
    return pa.table(arrays, schema=SCHEMA), shard_sizes


def _members(rng: np.random.Generator, shard: Array, ok: Array) -> tuple[pa.Array, Array, Array, Array]:
    """The members column; offset and size of each sample in its tar; bytes of each shard's tar."""
    count, kinds = len(shard), len(_MEMBERS)
    pool = np.random.default_rng(0)
    pooled_hashes = [pool.bytes(32).hex() for _ in range(_POOL * kinds)]
    own = rng.bytes(32 * count).hex()
    hashes = pa.array(pooled_hashes + [own[at : at + 64] for at in range(0, len(own), 64)])
    about = np.array(list(_MEMBERS.values()))
    pooled = (about[:, None] * pool.uniform(0.6, 1.4, (kinds, _POOL))).astype(np.int64)
    chosen = rng.integers(_POOL, size=(count, kinds))
    member_sizes = pooled[np.arange(kinds), chosen]
    hashed = chosen + np.arange(kinds) * _POOL
    hashed[:, list(_MEMBERS).index(_UNIQUE)] = np.arange(count) + _POOL * kinds
    stored = BLOCK + member_sizes + -member_sizes % BLOCK
    sizes = np.where(ok, stored.sum(1), 0)
    ends = np.cumsum(sizes)
    first = np.flatnonzero(np.r_[True, shard[1:] != shard[:-1]])
    begins = ends - sizes
    shard_begins = begins[first]
    offsets = begins - np.repeat(shard_begins, np.diff(np.r_[first, count]))
    member_offsets = offsets[:, None] + np.cumsum(stored, 1) - stored + BLOCK
    flat = np.repeat(ok, kinds)
    values = pa.StructArray.from_arrays(
        [
            pa.array(list(_MEMBERS)).take(pa.array(np.tile(np.arange(kinds), count)[flat])),
            pa.array(member_offsets.ravel()[flat]),
            pa.array(member_sizes.ravel()[flat]),
            hashes.take(pa.array(hashed.ravel()[flat])),
        ],
        fields=list(SCHEMA.field("members").type.value_type),
    )
    lengths = np.r_[0, np.cumsum(ok * kinds)].astype(np.int32)
    members = pa.ListArray.from_arrays(pa.array(lengths), values, mask=pa.array(~ok))
    return members, offsets, sizes, np.diff(np.r_[shard_begins, ends[-1]]) + len(END)


_CHILD = """
import resource, sys, time
out = sys.argv[1]
begun = time.perf_counter()
{code}
print(time.perf_counter() - begun, resource.getrusage(resource.RUSAGE_SELF).ru_maxrss * 1024)
"""


def measure(command: str, out: Path) -> str:
    """Seconds (imports counted) and peak memory of one of `COMMANDS`."""
    child = [sys.executable, "-c", _CHILD.format(code=COMMANDS[command]), str(out)]
    done = subprocess.run(child, capture_output=True, text=True)
    if done.returncode != 0:
        return f"{command}: failed: {done.stderr.strip().splitlines()[-1]}"
    seconds, peak = map(float, done.stdout.split()[-2:])
    return f"{command}: {seconds:.2f} s, {peak / 2**20:.0f} MiB at most"


@contextlib.contextmanager
def _folder(given: str | None) -> Iterator[Path]:
    if given is not None:
        yield Path(given)
        return
    with tempfile.TemporaryDirectory() as folder:
        yield Path(folder) / "corpus"


def main(arguments: Sequence[str] | None = None) -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--clips", type=int, default=10_000_000)
    parser.add_argument("--out", help="folder to make the corpus in, or one made before")
    parser.add_argument("--only", default=",".join(COMMANDS), help="which commands, with commas between them")
    given = parser.parse_args(arguments)
    with _folder(given.out) as out:
        if not (out / CORPUS_FILE).exists():
            begun = time.perf_counter()
            make_corpus(out, given.clips)
            size = sum(file.stat().st_size for file in (out / "manifest").iterdir())
            print(f"made {given.clips:,} rows, {size / 2**30:.2f} GiB, in {time.perf_counter() - begun:.0f} s")
        for command in filter(None, given.only.split(",")):
            print(measure(command, out), flush=True)


if __name__ == "__main__":
    main()
