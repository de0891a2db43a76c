"""Whether the colour picture lies on its labels: what covers, faces and colours a pixel must explain its colour best
where the picture is, and not beside it, mirrored or at another time."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import numpy as np
from numpy.typing import NDArray

from manifests.audit.arrays import Add, Shape
from manifests.audit.images import listed
from manifests.conventions import SEGMENTATION_CLASSES

Array = NDArray[Any]

EDGE = 96
"""Pixels on the longer side of the stretch around the person, to which it is thinned out."""
AROUND = 0.15
"""Of the person's width and height; so much of the background belongs to the stretch."""
MOVED = 2
"""By so many thinned-out pixels the picture is moved to see whether it fits better there."""
EXPLAINED = 0.05
"""Of the colour's variance, at least. Rendered pictures have 0.2 and more, noise has 0.005."""
LEAST_GAIN = {True: 0.0, False: -0.05}
"""How much more of the variance is explained than in any moved picture, at least, on average over a view; with and
without segmentation. The lowest of rendered ones are 0.02 and -0.01; another picture's are below 0 for 98 in 100."""
LEAST_GAIN_OF_FRAME = {True: -0.03, False: -0.1}
"""The same in any one picture. The lowest of rendered ones are 0.017 and -0.025."""
MIRRORED = {True: 0.01, False: 0.03}
"""How much more may be explained in the mirrored picture. The highest of rendered ones are -0.03 and 0.01."""
REVERSED = 0.003
"""How much more may be explained when the first and the last picture change places; rendered ones are below 0."""
LEAST_VARIANCE = 1.0
"""Of 255 squared: a picture that is next to one colour tells nothing."""

_MOVES = [(y, x) for y in (-MOVED, 0, MOVED) for x in (-MOVED, 0, MOVED) if y or x]


class ColourCheck:
    """Looks at one view's colour, alpha, pose normals and segmentation as they come."""

    def __init__(self, view: int, shape: Shape, add: Add) -> None:
        self._name, self._shape, self._add = f"v{view:02d}.rgb.mp4", shape, add
        self._frames: list[int] = []
        self._own: list[float] = []
        self._moved: list[list[float]] = []
        self._mirrored: list[float] = []
        self._segmented = True
        self._ends: dict[int, tuple[_Labels, Array]] = {}
        self._step = 1

    def take(self, start: int, pictures: Mapping[str, Array]) -> None:
        """The next window of `images.windows`."""
        if not {"rgb", "alpha", "pose_normals"} <= pictures.keys():
            return
        self._segmented &= "segmentation" in pictures
        for at, colour in enumerate(pictures["rgb"]):
            frame = start + at
            some = {name: pictures[name][at] for name in ("alpha", "pose_normals", "segmentation") if name in pictures}
            labels = _Labels.of(some)
            own = None if labels is None else labels.explain(colour)
            if labels is None or own is None:
                continue
            self._frames.append(frame)
            self._own.append(own)
            self._moved.append([labels.explain(colour, *move) or 0.0 for move in _MOVES])
            self._mirrored.append(labels.explain(colour[:, ::-1]) or 0.0)
            self._step = labels.step
            if frame in (0, self._shape.frames - 1):
                self._ends[frame] = labels, colour

    def finish(self) -> None:
        """Tells what was seen."""
        if not self._frames:
            return
        own, moved = np.array(self._own), np.array(self._moved)
        low = np.flatnonzero(own < EXPLAINED)
        best = int(moved.mean(axis=0).argmax())
        gain = own.mean() - moved[:, best].mean()
        elsewhere = np.maximum(moved.max(axis=1), self._mirrored)
        odd = np.flatnonzero(own - elsewhere < LEAST_GAIN_OF_FRAME[self._segmented])
        if len(low):
            expected = f"{EXPLAINED:g} of its variance explained by what the labels show"
            self._tell(expected, f"{own.min():.2g} in {self._listed(low)}")
        elif gain < LEAST_GAIN[self._segmented]:
            down, right = (self._step * way for way in _MOVES[best])
            self._tell_gain(f"{own.mean():.3g}, and {own.mean() - gain:.3g} if moved by {right:+d}, {down:+d} px")
        elif np.mean(self._mirrored) > own.mean() + MIRRORED[self._segmented]:
            self._tell_gain(f"{own.mean():.3g}, and {np.mean(self._mirrored):.3g} if mirrored")
        elif len(odd):
            self._tell_gain(f"less than if moved or mirrored, in {self._listed(odd)}")
        else:
            self._check_order()

    def _check_order(self) -> None:
        if len(self._ends) < 2:
            return
        (first, early), (last, late) = (self._ends[frame] for frame in sorted(self._ends))
        right = [first.explain(early), last.explain(late)]
        wrong = [first.explain(late), last.explain(early)]
        ahead, reverse = (sum(value or 0.0 for value in values) / 2 for values in (right, wrong))
        if reverse > ahead + REVERSED:
            self._tell_gain(f"{ahead:.3g} in the first and last picture, and {reverse:.3g} if they change places")

    def _tell_gain(self, seen: str) -> None:
        self._tell("labels that explain most of its variance where and when it is", seen)

    def _tell(self, expected: str, seen: str) -> None:
        self._add("colour-disagrees", self._name, expected, seen)

    def _listed(self, at: Array) -> str:
        return listed([self._frames[i] for i in at])


class _Labels:
    """A linear model of colour by what the labels say of each pixel around the person.

    Colour as a second-order polynomial of the normal is what diffuse light from anywhere makes of one material
    (Ramamoorthi and Hanrahan, "An efficient representation for irradiance environment maps", 2001); each class of
    the segmentation adds a colour of its own.
    """

    def __init__(self, features: Array, place: tuple[slice, slice], step: int) -> None:
        self._features, self._place, self.step = features, place, step
        self._inverse = np.linalg.pinv(features.T @ features, rcond=1e-9, hermitian=True)

    @classmethod
    def of(cls, labels: Mapping[str, Array]) -> _Labels | None:
        """None where there is next to nobody."""
        person = labels["alpha"] > 127
        rows, columns = np.flatnonzero(person.any(axis=1)), np.flatnonzero(person.any(axis=0))
        if len(rows) == 0:
            return None
        place = _stretch(rows, person.shape[0]), _stretch(columns, person.shape[1])
        step = max(1, -(-max(side.stop - side.start for side in place) // EDGE))
        inner = tuple(slice(side.start + MOVED * step, side.stop - MOVED * step, step) for side in place)
        if min(len(range(side.start, side.stop, step)) for side in inner) < 2 * MOVED:
            return None
        thin = {name: picture[inner] for name, picture in labels.items()}
        return cls(_features(thin), (inner[0], inner[1]), step)

    def explain(self, colour: Array, down: int = 0, right: int = 0) -> float | None:
        """Share of the variance of a picture [H, W, 3], moved by some steps, that the labels explain; None where it
        has none."""
        rows, columns = (
            slice(side.start + way * self.step, side.stop + way * self.step, self.step)
            for side, way in zip(self._place, (-down, -right), strict=True)
        )
        values = colour[rows, columns].reshape(-1, colour.shape[-1]).astype(np.float64)
        values -= values.mean(axis=0)
        whole = float((values**2).sum())
        if whole < LEAST_VARIANCE * values.size:
            return None
        along = self._features.T @ values
        return float((along * (self._inverse @ along)).sum()) / whole


def _stretch(used: Array, size: int) -> slice:
    """From the first to the last of the pixels in use, and somewhat farther."""
    first, stop = int(used[0]), int(used[-1]) + 1
    more = int(AROUND * (stop - first)) + 2 * MOVED
    return slice(max(0, first - more), min(size, stop + more))


def _features(labels: Mapping[str, Array]) -> Array:
    """float64 [P, C], without what is constant."""
    normal = labels["pose_normals"].reshape(-1, 3).astype(np.float64)
    x, y, z = normal.T
    columns = [labels["alpha"].ravel() / 255.0, (normal**2).sum(axis=1), x, y, z, x * y, y * z, x * z, x * x - y * y]
    columns.append(z * z)
    if "segmentation" in labels:
        classes = labels["segmentation"].ravel()
        columns += [(classes == number).astype(np.float64) for number in range(1, len(SEGMENTATION_CLASSES))]
    features = np.stack(columns, axis=1)
    return np.asarray(features - features.mean(axis=0))
