"""Where the members of a clip lie in its shard: read from the manifest when they are wanted, a shard at a time.

The lists of members are most of a manifest, so a corpus of millions of clips is not held with them.
"""

from __future__ import annotations

from collections import OrderedDict
from collections.abc import Sequence
from typing import Any, Final

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq

from manifests.errors import UserError
from manifests.layout import ManifestFile
from manifests.rows import PLACES
from manifests.storage import Storage

MOST_SHARDS: Final = 4096
"""Shards whose lists are kept: at 16 clips of 20 members some 30 MB."""
_MOST_FOOTERS: Final = 64
_NAME: Final = PLACES[0]


class Places:
    """The places of a corpus' members. Only its caches change; they are left behind when it is pickled."""

    def __init__(self, files: Sequence[ManifestFile]) -> None:
        """``files`` of the manifest, all of which `manifests.manifest.iter_file` has read once, and so checked."""
        self._files = tuple(files)
        self._footers: OrderedDict[int, pq.FileMetaData] = OrderedDict()
        self._shards: OrderedDict[tuple[int, int], tuple[int, pa.Array]] = OrderedDict()

    def __getstate__(self) -> dict[str, Any]:
        return {**self.__dict__, "_footers": OrderedDict(), "_shards": OrderedDict()}

    def members(self, storage: Storage, file: int, row: int, shard: int) -> list[dict[str, Any]]:
        """Name, offset and size of each member of the clip in ``row`` of that file, which lies in ``shard``.

        Raises UserError if the file is not what it was when it was read first.
        """
        key = file, shard
        first, lists = self._shards.get(key, (0, ()))
        if not first <= row < first + len(lists):
            first, lists = self._shards[key] = self._read(storage, file, row)
            if len(self._shards) > MOST_SHARDS:
                self._shards.popitem(last=False)
        self._shards.move_to_end(key)
        found: list[dict[str, Any]] = lists[row - first].as_py() or []
        return found

    def _read(self, storage: Storage, file: int, row: int) -> tuple[int, pa.Array]:
        """The first row, and the lists of all rows, of that row's shard within its row group."""
        item = self._files[file]
        try:
            with (
                storage.open(item.path) as opened,
                pq.ParquetFile(
                    opened,
                    metadata=self._footers.get(file),
                    read_dictionary=[_NAME],
                    page_checksum_verification=True,
                ) as table,
            ):
                self._footers[file] = table.metadata
                if len(self._footers) > _MOST_FOOTERS:
                    self._footers.popitem(last=False)
                sizes = [table.metadata.row_group(group).num_rows for group in range(table.num_row_groups)]
                starts = np.cumsum([0, *sizes])
                group = int(np.searchsorted(starts, row, "right")) - 1
                # Arrow's own threads would not survive in a process that was forked.
                read = table.read_row_group(group, columns=["shard", *PLACES], use_threads=False)
                shards = read["shard"].to_numpy()
                same = np.flatnonzero(shards == shards[row - starts[group]])
                kept = slice(int(same[0]), int(same[-1]) + 1)
                lists = read["members"].combine_chunks().take(pa.array(np.arange(kept.start, kept.stop)))
                return int(starts[group]) + kept.start, lists
        except (pa.ArrowException, ValueError, KeyError, IndexError, OSError) as error:
            reason = " ".join(str(error).split())[:120] or type(error).__name__
            raise UserError(
                f"{storage.url}/{item.path}: is not what it was at the start ({reason}); "
                "start again when nothing writes to the corpus, or audit it"
            ) from error
