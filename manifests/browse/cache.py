"""A cache of bytes with a bound."""

from __future__ import annotations

import threading
from collections import OrderedDict
from collections.abc import Callable, Hashable


class ByteCache:
    """The most recently used pieces of up to `max_bytes` in all; larger ones are handed through. Threads share it."""

    def __init__(self, max_bytes: int) -> None:
        self._max_bytes = max_bytes
        self._bytes = 0
        self._pieces: OrderedDict[Hashable, bytes] = OrderedDict()
        self._lock = threading.Lock()

    def get(self, key: Hashable, make: Callable[[], bytes]) -> bytes:
        """The piece of that name, made if it is not here."""
        with self._lock:
            if key in self._pieces:
                self._pieces.move_to_end(key)
                return self._pieces[key]
        piece = make()
        with self._lock:
            if key not in self._pieces and len(piece) <= self._max_bytes:
                self._pieces[key] = piece
                self._bytes += len(piece)
                while self._bytes > self._max_bytes:
                    self._bytes -= len(self._pieces.popitem(last=False)[1])
        return piece
