"""A user's recorded motion, read when a clip uses it. Its folder is listed as those of pictures are."""

from __future__ import annotations

import functools
import hashlib
from pathlib import Path

from datagen.asset_files import open_regular
from manifests.clip import HeadInfo
from manifests.errors import UserError
from manifests.recording import MOST_RECORDING_BYTES, Recording, parse_recording


def check_recordings(folder: str, files: dict[str, str], head: HeadInfo) -> None:
    """Raises UserError about the first recording that is not as it was listed, or does not move the head."""
    for name, sha256 in sorted(files.items()):
        read_recording(folder, name, sha256, head)


@functools.lru_cache(maxsize=4)
def read_recording(folder: str, name: str, sha256: str, head: HeadInfo) -> Recording:
    """One recording for a head. Raises UserError where its content is not that of the hash, or is not sound."""
    path = Path(folder) / name
    try:
        with open_regular(path) as file:
            data = file.read(MOST_RECORDING_BYTES + 1)
    except (OSError, ValueError) as error:
        reason = getattr(error, "strerror", None) or error
        raise UserError(f"{path}: cannot be read ({reason}); put it back, or check its permissions") from None
    if hashlib.sha256(data).hexdigest() != sha256:
        raise UserError(f"{path}: has changed since the corpus was configured; put the old file back")
    return parse_recording(path, data, head)
