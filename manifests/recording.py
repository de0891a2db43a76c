"""Recorded motion of a head, in a file of its own.

A recording is an npz without pickled content: ``fps``; ``expression`` [T, E]; any of ``root``, ``neck``, ``jaw``,
``left_eye``, ``right_eye`` [T, 3], axis-angle in radians, and ``translation`` [T, 3] in metres; and ``head``, the
head model's name, or ``expression_names`` [E], of which a head takes those it knows. Nothing keeps recorded lips and
lids from passing through each other: what was recorded is what is shown.
"""

from __future__ import annotations

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
NAMES = ("head", "expression_names")
MEMBERS = ("fps", "expression", *NAMES, *CURVES)
MOST_FRAMES, MOST_SHAPES, MOST_NUMBERS, MOST_LETTERS = 1_000_000, 2_000, 32_000_000, 1024
NUMBERS = "fiu"
FPS = (1.0, 1000.0)
NAMED = (-0.1, 1.3)
"""Coefficients of named shapes run from 0 to 1; capture overshoots a little."""
LARGEST = {"expression": 20.0, "translation": 1.0} | dict.fromkeys(TURNS, math.pi)
"""Greatest size of a coefficient (standard deviations or shares), of a shift in metres, and of an angle."""
MOST_RECORDING_BYTES = 256 * 2**20


@dataclass(frozen=True)
class Recording:
    """Curves over T frames at ``fps``: expression [T, E] for the head it was read for, others [T, 3]; an absent
    curve is zero."""

    fps: float
    expression: Array
    curves: dict[str, Array]


def parse_recording(path: Path, data: bytes, head: HeadInfo) -> Recording:
    """A file's content for a head. Raises UserError, which names ``path``, where it is not sound or of another head."""
    try:
        with zipfile.ZipFile(io.BytesIO(data)) as archive:
            arrays = {name: _array(archive, name) for name in MEMBERS if f"{name}.npy" in archive.namelist()}
    except Exception as error:  # of a file that anybody wrote
        why = " ".join(str(error).split()) or type(error).__name__
        raise UserError(f"{path}: cannot be read ({why}); save plain arrays with numpy.savez") from None
    return _checked(path, arrays, head)


def _array(archive: zipfile.ZipFile, name: str) -> Array:
    """A member, if what it declares is within bounds. Raises ValueError if not."""
    with archive.open(f"{name}.npy") as file:
        version = np.lib.format.read_magic(file)
        read_header = np.lib.format.read_array_header_1_0 if version == (1, 0) else np.lib.format.read_array_header_2_0
        shape, _, dtype = read_header(file)
    if dtype.hasobject:
        raise ValueError(f"{name} holds pickled objects")
    count = math.prod(shape)
    if name in NAMES and (count > MOST_SHAPES or dtype.itemsize > MOST_LETTERS):
        raise ValueError(f"{name} holds {count} texts of up to {dtype.itemsize} bytes; too many or too long")
    if name not in NAMES and dtype.kind not in NUMBERS:
        raise ValueError(f"{name} is {dtype}, no numbers")
    if name not in NAMES and count > MOST_NUMBERS:
        raise ValueError(f"{name} holds {count} numbers; keep at most {MOST_NUMBERS}, by shorter recordings")
    with archive.open(f"{name}.npy") as file:
        return np.asarray(np.lib.format.read_array(file, allow_pickle=False))


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
    if head.expression_names and not NAMED[0] <= expression.min() <= expression.max() <= NAMED[1]:
        raise UserError(
            f"{path}: expression reaches from {expression.min():.3g} to {expression.max():.3g}; the shapes of head "
            f"{head.name!r} take {NAMED[0]:g} to {NAMED[1]:g}: 1 is the whole shape"
        )
    return Recording(float(fps), _for_head(path, expression, arrays, head), curves)


def _numbers(path: Path, name: str, array: Array, shape: tuple[int | None, ...]) -> Array:
    wanted = " x ".join("any" if size is None else str(size) for size in shape) or "one number"
    fits = array.ndim == len(shape) and all(
        size is None or size == given for size, given in zip(shape, array.shape, strict=False)
    )
    if array.dtype.kind not in NUMBERS or not fits:
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
