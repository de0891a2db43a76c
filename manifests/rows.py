"""The manifest's rows, a batch at a time, from files that nothing is believed of."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from functools import cached_property
from typing import IO, Any, Final

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc
import pyarrow.parquet as pq
from numpy.typing import NDArray

from manifests.errors import UserError
from manifests.layout import Layout, ManifestFile
from manifests.storage import Storage
from manifests.table import OK, SCHEMA
from manifests.text import shown

Array = NDArray[Any]

ROWS: Final = 20_000
"""Rows held at once."""
MOST_ROW_BYTES: Final = 1 << 18
"""Of one row on average, as a file declares it: a hundred views with all labels take 150 kB."""
MOST_ROWS: Final = 1_000_000_000
"""Of a file whose shards' size is not known: as many clips as a corpus may have."""
MOST_TEXT: Final = 1 << 16
MOST_WRITTEN_OUT: Final = 64 << 20
"""Bytes of a text column in a batch that is handed out as plain texts."""
MOST_INNER_TEXT: Final = 256
"""Bytes of a label, a member's name or a hash."""
MOST_MEMBERS: Final = 1024
_FOOTER: Final = 8
_MOST_FOOTER_BYTES: Final = 16 << 20

TEXTS: Final = [field.name for field in SCHEMA if pa.types.is_string(field.type)]
_INNER_TEXTS: Final = ["labels.list.element", "members.list.element.name", "members.list.element.sha256"]
"""Both are read as dictionaries, so that a long text takes its room once, however often a file repeats it."""

SCALARS: Final = tuple(name for name in SCHEMA.names if name != "members")
PLACES: Final = ("members.list.element.name", "members.list.element.offset", "members.list.element.size")
"""Of the members all but the hashes, which are most of a manifest."""


CORE: Final = ("index", "key", "shard", "status", "members")
"""By these columns a manifest is known for one, whichever version of this program wrote it."""


class DamagedFileError(ValueError):
    """A file of the manifest that cannot be read, or declares what no manifest holds."""


class OtherVersionError(DamagedFileError, UserError):
    """A file of the manifest that is whole, with the columns of another version of this program."""


def read_rows(storage: Storage, item: ManifestFile, layout: Layout, columns: Sequence[str]) -> Iterator[Rows]:
    """Batches of a manifest file with the given columns, or leaves of ``members`` by their Parquet paths.

    Raises DamagedFileError, whatever is wrong with the file.
    """
    clips = max(0, layout.clips_of(item.last).stop - layout.clips_of(item.first).start)
    try:
        for batch in read_batches(storage, item, columns, 2 * clips + ROWS):
            yield Rows(batch)
    except DamagedFileError:
        raise
    except (pa.ArrowException, ValueError, KeyError, OSError, MemoryError) as error:
        raise DamagedFileError(f"{type(error).__name__}: {error}") from error


def read_batches(
    storage: Storage, item: ManifestFile, columns: Sequence[str], most_rows: int = MOST_ROWS
) -> Iterator[pa.RecordBatch]:
    """The same as they are read, with texts as dictionaries.

    Raises DamagedFileError, and what Arrow and the storage raise.
    """
    with storage.open(item.path) as file:
        _check_footer(file, storage.size(item.path))
        meta = pq.read_metadata(file)
        _check_columns(meta)
        dictionaries = [*TEXTS, *_INNER_TEXTS]
        with pq.ParquetFile(
            file, metadata=meta, read_dictionary=dictionaries, page_checksum_verification=True
        ) as table:
            _check_declared(table, most_rows)
            for group in range(table.num_row_groups):  # a dictionary within a list must not change in a batch
                for batch in table.iter_batches(batch_size=ROWS, row_groups=[group], columns=list(columns)):
                    _check_texts(batch)
                    yield batch


@dataclass(frozen=True)
class Rows:
    """A batch of manifest rows."""

    batch: pa.RecordBatch

    def __len__(self) -> int:
        return int(self.batch.num_rows)

    @cached_property
    def ok(self) -> Array:
        """bool [N]: which clips have a sample."""
        return self.is_text("status", [OK])

    def number(self, name: str) -> Array:
        """A column [N] of int64 (null: -1) or float64 (null: NaN)."""
        column = self.batch.column(name)
        if pa.types.is_floating(column.type):
            return np.asarray(pc.fill_null(column, float("nan")).to_numpy(zero_copy_only=False), np.float64)
        return np.asarray(pc.fill_null(column, -1).to_numpy(zero_copy_only=False), np.int64)

    def codes(self, name: str) -> tuple[Array, list[str | None]]:
        """A text column as [N] indices into a list of values, whose last is None."""
        column = self.batch.column(name)
        values: list[str | None] = [*column.dictionary.to_pylist(), None]
        codes = pc.fill_null(column.indices, len(values) - 1).to_numpy(zero_copy_only=False)
        return np.asarray(codes, np.int64), values

    def is_text(self, name: str, allowed: Sequence[str]) -> Array:
        """bool [N]: whether a text column holds one of the values."""
        codes, values = self.codes(name)
        return np.array([value in allowed for value in values], bool)[codes]

    def text(self, name: str, at: int) -> str:
        """One value; empty for null."""
        return str(self.value(name, at) or "")

    def value(self, name: str, at: int) -> Any:
        return self.batch.column(name)[int(at)].as_py()


def _check_footer(file: IO[bytes], size: int) -> None:
    """Parquet's footer (four bytes of length, then ``PAR1``) is parsed whole: it must be of a sane length."""
    if size < _FOOTER:
        raise DamagedFileError(f"{size} bytes are no Parquet file")
    file.seek(size - _FOOTER)
    length = int.from_bytes(file.read(4), "little")
    if length > min(_MOST_FOOTER_BYTES, size):
        raise DamagedFileError(f"its footer claims {length} bytes")
    file.seek(0)


def plain(batch: pa.RecordBatch, columns: Sequence[str]) -> pa.RecordBatch:
    """Whole columns of a batch with their texts written out. Raises DamagedFileError where those are too long."""
    for name in set(TEXTS) & set(columns):
        column = batch.column(name)
        length = pc.sum(pc.take(pc.binary_length(column.dictionary), column.indices)).as_py() or 0
        if length > MOST_WRITTEN_OUT:
            raise DamagedFileError(f"{length} bytes of text in {len(batch)} rows of column {name}")
    return batch.select(list(columns)).cast(pa.schema([SCHEMA.field(name) for name in columns]))


def _check_declared(table: pq.ParquetFile, most_rows: int) -> None:
    if not table.schema_arrow.equals(_READ_SCHEMA, check_metadata=False):
        raise DamagedFileError("its columns are not a manifest's (other types)")
    meta = table.metadata
    if meta.num_rows > most_rows:
        raise DamagedFileError(f"it claims {meta.num_rows} rows, more than {most_rows}")
    for number in range(meta.num_row_groups):
        group = meta.row_group(number)
        if group.total_byte_size > (group.num_rows + 256) * MOST_ROW_BYTES:
            raise DamagedFileError(f"it claims {group.total_byte_size} bytes for {group.num_rows} rows")
        for column in range(meta.num_columns):
            if group.column(column).num_values > max(group.num_rows, 1) * MOST_MEMBERS:
                raise DamagedFileError(f"a column claims {group.column(column).num_values} values")


def _check_columns(meta: pq.FileMetaData) -> None:
    """Raises OtherVersionError or DamagedFileError if they have not a manifest's names."""
    found = meta.schema.to_arrow_schema()
    missing = [name for name in SCHEMA.names if name not in found.names]
    unknown = [name for name in found.names if name not in SCHEMA.names]
    if not missing and not unknown:
        return
    known = all(found.get_field_index(name) >= 0 and found.field(name).type == SCHEMA.field(name).type for name in CORE)
    if not known or not _names_agree(meta):
        raise DamagedFileError(f"its columns are not a manifest's ({_listed(missing + unknown)})")
    differences = [f"lacks {_listed(missing)}"] * bool(missing) + [f"has also {_listed(unknown)}"] * bool(unknown)
    raise OtherVersionError(
        f"was written by another version of factorportrait (of this one's columns it {' and '.join(differences)}): "
        "use the version that wrote it, or generate the corpus anew with this one"
    )


def _names_agree(meta: pq.FileMetaData) -> bool:
    """A Parquet file names each column in its schema and beside its data: damage changes but one of them."""
    if meta.num_row_groups == 0:
        return True
    group = meta.row_group(0)
    names = [meta.schema.column(number).path for number in range(len(meta.schema))]
    return names == [group.column(number).path_in_schema for number in range(group.num_columns)]


def _listed(names: Sequence[str], most: int = 8) -> str:
    more = f" and {len(names) - most} more" if len(names) > most else ""
    return shown(", ".join(shown(name, 40) for name in names[:most])) + more


def _check_texts(batch: pa.RecordBatch) -> None:
    for name, column in zip(batch.schema.names, batch.columns, strict=True):
        if name in TEXTS:
            _check_lengths(name, column, MOST_TEXT)
        elif name == "labels":
            _check_lengths(name, column.flatten(), MOST_INNER_TEXT)
        elif name == "members":
            for field, inner in zip(column.type.value_type, column.flatten().flatten(), strict=True):
                if pa.types.is_dictionary(field.type):
                    _check_lengths(name, inner, MOST_INNER_TEXT)


def _check_lengths(name: str, column: pa.DictionaryArray, most: int) -> None:
    longest = pc.max(pc.binary_length(column.dictionary)).as_py() or 0
    if longest > most:
        raise DamagedFileError(f"a text of {longest} bytes in column {name}")


_DICTIONARY: Final = pa.dictionary(pa.int32(), pa.string())


def _as_read(kind: pa.DataType) -> pa.DataType:
    """A column's type with dictionaries for its texts."""
    if pa.types.is_list(kind):
        return pa.list_(_as_read(kind.value_type))
    if pa.types.is_struct(kind):
        return pa.struct([(field.name, _as_read(field.type)) for field in kind])
    return _DICTIONARY if pa.types.is_string(kind) else kind


_READ_SCHEMA: Final = pa.schema([(field.name, _as_read(field.type)) for field in SCHEMA])
