"""Blender prints as it goes, below Python; this keeps it off the terminal."""

from __future__ import annotations

import contextlib
import os
import tempfile
from collections.abc import Iterator


@contextlib.contextmanager
def quiet(*descriptors: int) -> Iterator[None]:
    """Hold back what Blender prints to these file descriptors (1, the default, and 2); on failure, say its last lines
    in the error."""
    descriptors = descriptors or (1,)
    with tempfile.TemporaryFile() as log:
        saved = [os.dup(descriptor) for descriptor in descriptors]
        for descriptor in descriptors:
            os.dup2(log.fileno(), descriptor)
        try:
            yield
        except Exception as error:
            log.seek(0)
            error.add_note(log.read()[-1000:].decode(errors="replace"))
            raise
        finally:
            for descriptor, kept in zip(descriptors, saved, strict=True):
                os.dup2(kept, descriptor)
                os.close(kept)
