"""The manifest's columns and rows: one row a clip."""

from __future__ import annotations

import dataclasses
import typing
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import IO, Any, Final

import pyarrow as pa
import pyarrow.parquet as pq

from manifests.clip import ClipSummary
from manifests.layout import Layout

Row = dict[str, Any]

OK: Final = "ok"
QUARANTINED: Final = "quarantined"

_ARROW: Final[dict[type, pa.DataType]] = {float: pa.float64(), str: pa.string(), int: pa.int64()}
_SUMMARY: Final = typing.get_type_hints(ClipSummary)
_FROM_SPEC: Final = {
    "identity": pa.int64(),
    "split": pa.string(),
    "recipe": pa.string(),
    "template": pa.string(),
    "frames": pa.int32(),
    "fps": pa.float64(),
    "views": pa.int32(),
    "width": pa.int32(),
    "height": pa.int32(),
    "labels": pa.list_(pa.string()),
    "seed": pa.int64(),
}
_MEMBER: Final = pa.struct(
    [("name", pa.string()), ("offset", pa.int64()), ("size", pa.int64()), ("sha256", pa.string())]
)

SCHEMA: Final = pa.schema(
    [
        ("index", pa.int64()),
        ("key", pa.string()),
        ("shard", pa.int32()),
        ("status", pa.string()),
        ("error", pa.string()),
        ("config_hash", pa.string()),
        *_FROM_SPEC.items(),
        ("head", pa.string()),
        ("head_sha256", pa.string()),
        *((name, _ARROW[kind]) for name, kind in _SUMMARY.items()),
        ("offset", pa.int64()),
        ("size", pa.int64()),
        ("members", pa.list_(_MEMBER)),
    ]
)
"""Status is ``ok`` or ``quarantined``; a quarantined clip has an error and none of what a sample has.
Offsets and sizes are bytes in the shard's tar: of the whole sample, headers included, and of each member's
data. Member names are those behind the clip's key."""


@dataclass(frozen=True)
class StoredMember:
    """One file of a sample as it lies in its shard."""

    name: str
    offset: int
    size: int
    sha256: str


def spec_columns(spec: Mapping[str, Any]) -> Row:
    """The columns that a parsed ``spec.json`` gives. Raises ValueError if it lacks one."""
    try:
        return {
            **{name: spec[name] for name in ("config_hash", *_FROM_SPEC)},
            "head": spec["head"]["name"],
            "head_sha256": spec["head"]["sha256"],
            **{name: spec["summary"][name] for name in _SUMMARY},
        }
    except (KeyError, TypeError) as error:
        raise ValueError(f"spec.json lacks {error}") from None


def clip_row(
    layout: Layout,
    clip: int,
    spec: Mapping[str, Any],
    offset: int,
    size: int,
    members: Sequence[StoredMember],
) -> Row:
    """The row of a clip whose sample covers [offset, offset + size) of its shard."""
    return {
        **_identification(layout, clip),
        **spec_columns(spec),
        "status": OK,
        "offset": offset,
        "size": size,
        "members": [dataclasses.asdict(member) for member in members],
    }


def quarantined_row(layout: Layout, clip: int, error: str, config_hash: str) -> Row:
    """The row of a clip that was given up."""
    return {
        **_identification(layout, clip),
        "status": QUARANTINED,
        "error": error,
        "config_hash": config_hash,
    }


def write_rows(rows: Sequence[Row]) -> bytes:
    """A Parquet file with one row group; equal rows give equal bytes."""
    sink = pa.BufferOutputStream()
    with table_writer(sink) as writer:
        writer.write_table(pa.Table.from_pylist(list(rows), schema=SCHEMA))
    data: bytes = sink.getvalue().to_pybytes()
    return data


def table_writer(sink: IO[bytes] | pa.NativeFile) -> pq.ParquetWriter:
    """A writer with every setting that shapes the bytes pinned. Each table written is one row group."""
    return pq.ParquetWriter(
        sink,
        SCHEMA,
        version="2.6",
        data_page_version="1.0",
        compression="zstd",
        compression_level=3,
        use_dictionary=True,
        write_statistics=True,
        write_page_checksum=True,
    )


def _identification(layout: Layout, clip: int) -> Row:
    return {"index": clip, "key": layout.key(clip), "shard": layout.shard_of(clip)}
