"""Things that do not outlive a fork, as connections to object stores."""

from __future__ import annotations

import os
from collections.abc import Callable
from typing import Generic, TypeVar

T = TypeVar("T")


class PerProcess(Generic[T]):
    """Made at once, and anew where it is asked for by another process. It pickles if what it makes and ``make`` do."""

    def __init__(self, make: Callable[[], T]) -> None:
        self._make = make
        self._made, self._process = make(), os.getpid()

    def __call__(self) -> T:
        if self._process != os.getpid():
            self._made, self._process = self._make(), os.getpid()
        return self._made
