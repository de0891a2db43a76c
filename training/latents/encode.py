"""One shard of latents: from a shard's clips to a tar and the manifest part that commits it."""

from __future__ import annotations

import contextlib
import functools
import hashlib
from collections.abc import Iterator
from dataclasses import dataclass
from typing import IO, Any

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from manifests import tar
from manifests.errors import UserError
from manifests.manifest import write_part
from manifests.storage import Storage
from manifests.table import Row, StoredMember, clip_row, quarantined_row, spec_columns
from training.codec.codec import Codec
from training.codec.load import load_codec
from training.data.clips import Clips
from training.data.samples import make_sample
from training.expression.encoder import ExpressionEncoder
from training.expression.load import load_encoder
from training.latents.members import STORED, expression_name, normals_name, npy_bytes, video_name
from training.latents.record import CacheRecord

Array = NDArray[Any]


@dataclass(frozen=True)
class Job:
    """What all shards of a run share."""

    clips: Clips
    record: CacheRecord
    out: str
    codec: str
    expression: str | None
    """Folders; their digests are the record's."""
    device: str


@dataclass(frozen=True)
class ShardTask:
    """A shard and its clips, as `Job.clips` counts them."""

    shard: int
    clips: range


@dataclass(frozen=True)
class Written:
    """A shard that was committed."""

    bytes: int
    left_out: tuple[str, ...] = ()
    """Why clips are missing in it, each with its key."""


def encode_shard(job: Job, task: ShardTask) -> Written:
    """Write a shard and commit it. What was half there of it is replaced; a clip that cannot be read is left out, and
    its row of the manifest says why.

    One window is encoded at a time, on one thread of a CPU, so that the bytes depend on no worker. Raises UserError
    when a model is not what it was at the start.
    """
    storage = Storage(job.out)
    codec, encoder = _models(job.codec, job.record.codec, job.expression, job.record.expression, job.device)
    layout = job.record.layout
    rows: list[Row] = []
    left_out: list[str] = []
    position = 0
    with storage.problems(), _repeatable(), storage.stream(layout.shard_path(task.shard)) as sink:
        for i in task.clips:
            key, start, members = job.clips.key(i), position, []
            try:
                spec, arrays = _spec(job, i), list(encode_clip(job.clips, i, job.record, codec, encoder))
            except UserError as error:
                left_out.append(f"{key}: {error}")
                rows.append(quarantined_row(layout, _number(key), str(error), job.record.config_hash))
                continue
            for name, array in arrays:
                member, position = _append(sink, key, name, npy_bytes(array), position)
                members.append(member)
            rows.append(clip_row(layout, _number(key), spec, start, position - start, members))
        sink.write(tar.END)
    with storage.problems():
        write_part(storage, task.shard, rows)
    return Written(position, tuple(left_out))


def encode_clip(
    clips: Clips, i: int, record: CacheRecord, codec: Codec, encoder: ExpressionEncoder | None
) -> Iterator[tuple[str, Array]]:
    """Names and arrays of a clip's members, view by view; see `training.latents.members`."""
    info = clips.info(i)
    windows = [record.frames_of(window) for window in range(record.windows(info.frames))]
    for view in range(info.views):
        video, normals = [], []
        for window in clips.windows(i, [(view, frames) for frames in windows]):
            sample = make_sample(window, window)
            video.append(_stored(codec.encode(sample.video[None].to(_device(codec)))[0], window.key))
            normals.append(_stored(codec.encode(sample.pose_normals[None].to(_device(codec)))[0], window.key))
        yield video_name(view), np.stack(video)
        yield normals_name(view), np.stack(normals)
        if encoder is not None:
            (whole,) = clips.windows(i, [(view, range(info.frames))])
            sample = make_sample(whole, whole)
            pictures, landmarks = sample.video[None].to(_device(encoder)), sample.landmarks[None].to(_device(encoder))
            yield expression_name(view), _stored(encoder.read(pictures, landmarks)[0], whole.key)


@functools.lru_cache(maxsize=1)
def _models(
    codec: str, codec_digest: str, expression: str | None, expression_digest: str | None, device: str
) -> tuple[Codec, ExpressionEncoder | None]:
    """Loaded once a process."""
    loaded = load_codec(codec).to(device).eval()
    _check_digest(codec, loaded.digest, codec_digest)
    if expression is None:
        return loaded, None
    encoder = load_encoder(expression).to(device).eval()
    _check_digest(expression, encoder.digest, expression_digest)
    return loaded, encoder


def _check_digest(folder: str, found: str, wanted: str | None) -> None:
    if found != wanted:
        raise UserError(
            f"{folder}: here it is {found[:16]}, where the run began {str(wanted)[:16]}; "
            "give every machine the same model, and leave it alone while latents are cached"
        )


@contextlib.contextmanager
def _repeatable() -> Iterator[None]:
    """Sums in an order that no number of cores, and no search for the fastest kernel, changes."""
    threads = torch.get_num_threads()
    torch.set_num_threads(1)
    try:
        with torch.backends.cudnn.flags(enabled=True, benchmark=False, deterministic=True, allow_tf32=False):
            yield
    finally:
        torch.set_num_threads(threads)


def _stored(values: Tensor, key: str) -> Array:
    array: Array = values.float().cpu().numpy().astype(STORED)
    if not np.isfinite(array).all():
        raise UserError(f"{key}: its latents are not finite in half precision; use another codec, or audit the clip")
    return array


def _append(sink: IO[bytes], key: str, name: str, data: bytes, position: int) -> tuple[StoredMember, int]:
    """Write an entry of the tar behind ``position`` bytes; the member, and where the next one starts."""
    for piece in (tar.header(f"{key}.{name}", len(data)), data, bytes(tar.padding(len(data)))):
        sink.write(piece)
    member = StoredMember(name, position + tar.BLOCK, len(data), hashlib.sha256(data).hexdigest())
    return member, position + tar.BLOCK + len(data) + tar.padding(len(data))


def _spec(job: Job, i: int) -> dict[str, Any]:
    """What made a clip. Raises UserError for one that is damaged, or lacks what a manifest tells."""
    spec = job.clips.spec(i)
    try:
        spec_columns(spec)
    except ValueError as error:
        raise UserError(f"{job.clips.key(i)}: {error}; audit the corpus") from None
    return spec


def _number(key: str) -> int:
    return int(key.rpartition("-")[2])


def _device(module: torch.nn.Module) -> torch.device:
    return next((tensor.device for tensor in (*module.parameters(), *module.buffers())), torch.device("cpu"))
