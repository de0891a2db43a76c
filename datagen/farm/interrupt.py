"""Ctrl-C and SIGTERM: a clean stop at the first, the end at the second."""

from __future__ import annotations

import contextlib
import os
import signal
import threading
from collections.abc import Iterator
from types import FrameType

_SIGNALS = (signal.SIGINT, signal.SIGTERM)


class Interrupted(KeyboardInterrupt):
    """A run was stopped by its user and left in order. The message says how to go on.

    The command line prints it and exits with status 130.
    """


class Stop:
    """Whether the user has asked the run to stop."""

    def __init__(self) -> None:
        self.requested = False
        self.at_checks = False

    def check(self) -> None:
        """Raises KeyboardInterrupt if the user has."""
        if self.requested:
            raise KeyboardInterrupt

    @contextlib.contextmanager
    def at_checks_only(self) -> Iterator[None]:
        """Within the block a signal waits for the next `check`.

        Python swallows an exception that a signal raises inside a destructor or a callback of a library, and
        a loop that lives in such libraries would lose it.
        """
        self.at_checks = True
        try:
            yield
        finally:
            self.at_checks = False


@contextlib.contextmanager
def stop_on_signals() -> Iterator[Stop]:
    """Turn the first SIGINT or SIGTERM into KeyboardInterrupt; a second one ends the process at once.

    Does nothing outside the main thread, where Python lets nobody handle signals.
    """
    stop = Stop()
    if threading.current_thread() is not threading.main_thread():
        yield stop
        return

    def handle(number: int, frame: FrameType | None) -> None:
        if stop.requested:
            os._exit(130)  # whatever is written is written atomically, so nothing can be torn
        stop.requested = True
        if not stop.at_checks:
            raise KeyboardInterrupt

    before = {number: signal.getsignal(number) for number in _SIGNALS}
    for number in _SIGNALS:
        signal.signal(number, handle)
    try:
        yield stop
    finally:
        for number, handler in before.items():
            signal.signal(number, handler)
