"""A user's folder of recorded motion: listed with hashes when a configuration is loaded, read when a clip uses it.

A recording is an npz without pickled content: ``fps``; ``expression`` [T, E]; any of ``root``, ``neck``, ``jaw``,
``left_eye``, ``right_eye`` [T, 3], axis-angle in radians, and ``translation`` [T, 3] in metres; and ``head``, the
head model's name, or ``expression_names`` [E], of which a head takes those it knows.
"""

from __future__ import annotations

import functools
import hashlib
import io
import math
import zipfile
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from manifests.clip import HeadInfo
from manifests.errors import UserError

Array = NDArray[Any]

TURNS = ("root", "neck", "jaw", "left_eye", "right_eye")
CURVES = (*TURNS, "translation")
MOST_FILES, MOST_BYTES, MOST_FRAMES, MOST_SHAPES = 10_000, 256 * 2**20, 1_000_000, 2_000
FPS = (1.0, 1000.0)
LARGEST = {"expression": 20.0, "translation": 1.0} | dict.fromkeys(TURNS, math.pi)
"""Greatest size of a coefficient (standard deviations or shares), of a shift in metres, and of an angle."""


@dataclass(frozen=True)
class Recording:
    """Curves over T frames at ``fps``: expression [T, E] for the head it was read for, others [T, 3]; an absent
    curve is zero."""

    fps: float
    expression: Array
    curves: dict[str, Array]


def list_recordings(folder: Path, source: str) -> dict[str, str]:
    """SHA-256 (hex) by name of the npz files in a folder. Raises UserError where there are none, or too many."""
    try:
        paths = sorted(path for path in folder.iterdir() if path.suffix == ".npz")
    except OSError as error:
        raise UserError(f"{source} = {folder}: cannot be read ({error.strerror}); give a folder") from None
    if not paths:
        raise UserError(f"{source} = {folder}: holds no .npz file; put recorded motions there")
    if len(paths) > MOST_FILES:
        raise UserError(f"{source} = {folder}: holds {len(paths)} files; keep at most {MOST_FILES}")
    return {path.name: hashlib.sha256(_read(path)).hexdigest() for path in paths}


def check_recordings(folder: str, files: dict[str, str], head: HeadInfo) -> None:
    """Raises UserError about the first recording that is not as it was listed, or does not move the head."""
    for name, sha256 in sorted(files.items()):
        read_recording(folder, name, sha256, head)


@functools.lru_cache(maxsize=8)
def read_recording(folder: str, name: str, sha256: str, head: HeadInfo) -> Recording:
    """One recording for a head. Raises UserError where its content is not that of the hash, or is not sound."""
    path = Path(folder) / name
    data = _read(path)
    if hashlib.sha256(data).hexdigest() != sha256:
        raise UserError(f"{path}: has changed since the corpus was configured; put the old file back")
    try:
        with zipfile.ZipFile(io.BytesIO(data)) as archive:
            size = sum(entry.file_size for entry in archive.infolist())
        if size > MOST_BYTES:
            raise UserError(f"{path}: unpacks to {size} bytes; keep at most {MOST_BYTES}, by shorter recordings")
        with np.load(io.BytesIO(data), allow_pickle=False) as stored:
            arrays = {key: np.asarray(stored[key]) for key in stored.files}
    except UserError:
        raise
    except Exception as error:  # of a file that anybody wrote
        pickled = "pickle" in str(error).lower()
        why = "holds pickled objects" if pickled else " ".join(str(error).split()) or type(error).__name__
        raise UserError(f"{path}: cannot be read ({why}); save plain arrays with numpy.savez") from None
    return _checked(path, arrays, head)


def _read(path: Path) -> bytes:
    try:
        size = path.stat().st_size
        if size > MOST_BYTES:
            raise UserError(f"{path}: {size} bytes; keep at most {MOST_BYTES}, by shorter recordings")
        return path.read_bytes()
    except OSError as error:
        raise UserError(f"{path}: cannot be read ({error.strerror}); put it back, or check its permissions") from None


def _checked(path: Path, arrays: dict[str, Array], head: HeadInfo) -> Recording:
    if "expression" not in arrays or "fps" not in arrays:
        raise UserError(f"{path}: has no {'fps' if 'expression' in arrays else 'expression'}; add it")
    fps = _numbers(path, "fps", arrays["fps"], ())
    if not FPS[0] <= float(fps) <= FPS[1]:
        raise UserError(f"{path}: fps = {float(fps):g}; must be between {FPS[0]:g} and {FPS[1]:g}")
    expression = _numbers(path, "expression", arrays["expression"], (None, None))
    frames, shapes = expression.shape
    if not 2 <= frames <= MOST_FRAMES or not 1 <= shapes <= MOST_SHAPES:
        raise UserError(
            f"{path}: expression has shape {expression.shape}; must have 2 to {MOST_FRAMES} frames of 1 to "
            f"{MOST_SHAPES} components"
        )
    curves = {}
    for name in CURVES:
        curves[name] = np.zeros((frames, 3))
        if name in arrays:
            curves[name] = _numbers(path, name, arrays[name], (frames, 3))
            if np.linalg.norm(curves[name], axis=1).max() > LARGEST[name] + 1e-6:
                unit = "m" if name == "translation" else "radians"
                raise UserError(f"{path}: {name} exceeds {LARGEST[name]:.3g} {unit}; check its units")
    if np.abs(expression).max() > LARGEST["expression"]:
        raise UserError(f"{path}: expression exceeds {LARGEST['expression']:g}; check its units")
    return Recording(float(fps), _for_head(path, expression, arrays, head), curves)


def _numbers(path: Path, name: str, array: Array, shape: tuple[int | None, ...]) -> Array:
    wanted = " x ".join("any" if size is None else str(size) for size in shape) or "one number"
    fits = array.ndim == len(shape) and all(
        size is None or size == given for size, given in zip(shape, array.shape, strict=False)
    )
    if array.dtype.kind not in "fiu" or not fits:
        raise UserError(f"{path}: {name} is {array.dtype} of shape {array.shape}; must be numbers, {wanted}")
    array = array.astype(np.float64)
    if not np.isfinite(array).all():
        raise UserError(f"{path}: {name} holds NaN or infinite values; cut or mend those frames")
    return array


def _for_head(path: Path, expression: Array, arrays: dict[str, Array], head: HeadInfo) -> Array:
    """Coefficients [T, E] for the head's own components."""
    count = expression.shape[1]
    if "expression_names" in arrays:
        names = [str(name) for name in np.ravel(arrays["expression_names"])]
        if len(names) != count or len(set(names)) < count:
            raise UserError(f"{path}: {len(set(names))} different expression_names for {count} components; name each")
        if not head.expression_names:
            raise UserError(f"{path}: expression_names given, but head {head.name!r} has no names; give head")
        known = {name: place for place, name in enumerate(head.expression_names)}
        unknown = [name for name in names if name not in known]
        if unknown:
            raise UserError(f"{path}: head {head.name!r} has no expression {unknown[0][:40]!r}; rename it")
        fitted = np.zeros((len(expression), head.expression_size))
        fitted[:, [known[name] for name in names]] = expression
        return fitted
    if "head" not in arrays:
        raise UserError(f"{path}: neither head nor expression_names; add one, so that it is played on the right head")
    recorded = str(arrays["head"])[:64]
    if recorded != head.name:
        raise UserError(f"{path}: recorded for head {recorded!r}, the corpus has {head.name!r}; give expression_names")
    if count > head.expression_size:
        raise UserError(
            f"{path}: {count} components of expression, head {head.name!r} has {head.expression_size}; cut the others"
        )
    return np.pad(expression, ((0, 0), (0, head.expression_size - count)))
