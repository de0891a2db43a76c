"""How often lips, lids and teeth pass through each other on the open head, at what the samplers draw.

Every sample is one frame of one clip: an identity, an expression, a jaw and a gaze as `sample_clip` draws them.
The head is looked at from the front, in its own frame, 5 m away, on the surface that is rendered.
"""

from __future__ import annotations

import argparse
import dataclasses
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from datagen.config import load_config
from datagen.geometry.curves import nearest, polygon_distance, smooth_curve
from datagen.geometry.raster import View
from datagen.geometry.surface import Surface, make_surface
from datagen.heads import bust
from datagen.heads.figure import build_figure
from datagen.heads.model import HeadModel, load_head
from datagen.heads.neutral import LOWER_LID_LEFT, LOWER_LIP_LEFT, UPPER_LID_LEFT, UPPER_LIP_LEFT
from datagen.sampling.identity import sample_shape
from datagen.sampling.motion import hold_still, sample_motion
from datagen.sampling.traits import sample_traits
from datagen.sections import MotionSettings
from manifests.clip import Motion
from manifests.conventions import PARTS

Array = NDArray[Any]

LIPS_M = LIDS_M = EYEBALL_M = 0.0005
TEETH_M = 0.001
"""How far one thing may reach through another before it counts."""
_DISTANCE_M, _PIXEL_M, _MARGIN_M = 5.0, 0.00025, 0.008
_FRAMES_A_CLIP = 20


@dataclass(frozen=True)
class Loops:
    """Vertices of the edges that meet: each from the subject's right to the left."""

    upper_lip: Array
    lower_lip: Array
    upper_lid: dict[str, Array]
    lower_lid: dict[str, Array]


@dataclass(frozen=True)
class Clash:
    """How far things reach through each other in each frame [N], metres; 0 where they do not."""

    lips: Array
    lids: Array
    eyeball: Array
    """Eyeball seen outside the opening of its lids."""
    teeth: Array
    """Teeth seen outside the opening of the mouth."""
    ajar: Array
    """Greatest height of the opening between lids that should be shut."""


def find_loops(head: HeadModel) -> Loops:
    """The loops on the open head's mesh."""
    figure = build_figure()
    cut = bust.cut(figure.vertices, figure.faces, figure.part, figure.uv, figure.uv_faces, bust.bust_field)
    source = np.where(cut.share == 0, figure.source[cut.first], -1)
    place = np.full(len(figure.mirror), -1)
    place[source[source >= 0]] = np.flatnonzero(source >= 0)

    def both(left: tuple[int, ...]) -> Array:
        return place[np.concatenate([figure.mirror[np.array(left[:0:-1])], np.array(left)])]

    def lid(left: tuple[int, ...]) -> dict[str, Array]:
        return {"left_eye": place[np.array(left)], "right_eye": place[figure.mirror[np.array(left)]]}

    return Loops(both(UPPER_LIP_LEFT), both(LOWER_LIP_LEFT), lid(UPPER_LID_LEFT), lid(LOWER_LID_LEFT))


class Examiner:
    """Measures the frames of motions of one head."""

    def __init__(self, head: HeadModel) -> None:
        self.head = head
        self._surface = make_surface(head, 1)
        self._loops = find_loops(head)
        rest = self._surface.refine(head.template)
        self._regions = {
            eye: _region(self._surface, rest, self._loops.upper_lid[eye], (eye,)) for eye in self._loops.upper_lid
        }
        self._regions["mouth"] = _region(self._surface, rest, self._loops.upper_lip, ("teeth", "tongue"))

    def __call__(self, motion: Motion, shut: Array) -> Clash:
        """``shut`` bool [T]: where the lids should be closed."""
        still = np.zeros_like(motion.root)
        held = dataclasses.replace(motion, root=still, neck=still, translation=still)
        vertices = self._surface.refine(self.head.pose(held)).astype(np.float64)
        rows = [self._frame(points, bool(closed)) for points, closed in zip(vertices, shut, strict=True)]
        return Clash(*np.array(rows).T)

    def _frame(self, points: Array, shut: bool) -> tuple[float, float, float, float, float]:
        loops = self._loops
        lips = _overlap(points[loops.upper_lip], points[loops.lower_lip])
        lids = eyeball = ajar = 0.0
        for eye in loops.upper_lid:
            upper, lower = points[loops.upper_lid[eye]], points[loops.lower_lid[eye]]
            lids = max(lids, _overlap(upper, lower))
            seen = _seen(self._regions[eye], points, np.concatenate([upper, lower]))
            eyeball = max(eyeball, _outside(seen, upper, lower))
            if shut and len(seen):
                ajar = max(ajar, _ajar(upper, lower))
        upper, lower = points[loops.upper_lip], points[loops.lower_lip]
        seen = _seen(self._regions["mouth"], points, np.concatenate([upper, lower]))
        return lips, lids, eyeball, _outside(seen, upper, lower), ajar


@dataclass(frozen=True)
class _Region:
    """Faces [F, 3] around an opening, and which of them show what should stay inside it."""

    faces: Array
    wanted: Array


def _region(surface: Surface, rest: Array, edge: Array, parts: tuple[str, ...]) -> _Region:
    """The faces within 45 mm of an edge, and all of the parts."""
    wanted = np.isin(surface.part, [PARTS.index(part) for part in parts])
    distance = np.linalg.norm(rest - rest[edge].mean(axis=0), axis=1)
    near = (distance[surface.faces] < 0.045).any(axis=1) | wanted
    return _Region(surface.faces[near], wanted[near])


def _overlap(upper: Array, lower: Array) -> float:
    """How far the upper edge [N, 3] reaches below the lower one at most, seen from the front."""
    upper, lower = _curve(upper), _curve(lower)
    below = _height(upper, lower) < 0
    if not below.any():
        return 0.0
    return float(nearest(upper[below], lower)[0].max())


def _ajar(upper: Array, lower: Array) -> float:
    """How far the edges are apart at most."""
    upper, lower = _curve(upper), _curve(lower)
    above = _height(upper, lower) > 0
    return float(nearest(upper[above], lower)[0].max()) if above.any() else 0.0


def _height(upper: Array, lower: Array) -> Array:
    order = np.argsort(lower[:, 0], kind="stable")
    return upper[:, 1] - np.interp(upper[:, 0], lower[order, 0], lower[order, 1])


def _curve(edge: Array) -> Array:
    """The curve that the refined surface draws through an edge, seen from the front."""
    return smooth_curve(edge[:, :2], closed=False, samples=80)


def _seen(region: _Region, points: Array, around: Array) -> Array:
    """Where pixels [N, 2] (metres, from the front) show one of the parts, in a frame around some points."""
    low, high = around[:, :2].min(axis=0) - _MARGIN_M, around[:, :2].max(axis=0) + _MARGIN_M
    width, height = np.ceil((high - low) / _PIXEL_M).astype(int)
    middle = (low + high) / 2
    # Pixels keep their size at the height of the points, whatever the perspective does elsewhere.
    level = float(around[:, 2].mean())
    intrinsics = np.array([[_DISTANCE_M / _PIXEL_M, 0, width / 2], [0, _DISTANCE_M / _PIXEL_M, height / 2], [0, 0, 1]])
    camera = np.diag([1.0, -1.0, -1.0, 1.0])
    camera[:3, 3] = [-middle[0], middle[1], level + _DISTANCE_M]
    hits = View(points, region.faces, intrinsics, camera).hits(int(height), int(width))
    shown = region.wanted[hits.face]
    row, column = np.nonzero(hits.mask)
    place = np.column_stack([column[shown] + 0.5 - width / 2, height / 2 - row[shown] - 0.5]) * _PIXEL_M
    return middle + place


def _outside(seen: Array, upper: Array, lower: Array) -> float:
    """How far outside the opening between two edges the farthest point [N, 2] is."""
    if not len(seen):
        return 0.0
    opening = np.concatenate([_curve(upper), _curve(lower)[::-1]])
    return max(0.0, -float(polygon_distance(seen, opening).min()))


def frames(head: HeadModel, count: int, settings: MotionSettings | None = None) -> Iterator[tuple[int, Motion, Array]]:
    """Sampled frames, clip by clip: its index, motion, and where its lids are shut."""
    config = load_config("paper")
    settings = settings or config.motion
    lids = head.info.lids
    assert lids is not None
    for index in range(-(-count // _FRAMES_A_CLIP)):
        number = min(_FRAMES_A_CLIP, count - index * _FRAMES_A_CLIP)
        traits = sample_traits(config.identity, 7, index)
        shape = sample_shape(config.identity, head.info, traits, 7, index)
        if index % 5 == 4:
            motion = hold_still(settings, head.info, shape, 7, index, 1).motion
            others = [
                hold_still(settings, head.info, shape, 7, 10**6 + 20 * index + k, 1).motion for k in range(1, number)
            ]
            motion = _joined([motion, *others])
        else:
            motion = sample_motion(settings, head.info, shape, 7, index, np.arange(number) * 0.27).motion
        opening = 1 + shape[: head.info.identity_size] @ lids.identity + 0.5 * motion.expression @ lids.expression
        yield index, motion, opening < 0.02


def _joined(motions: list[Motion]) -> Motion:
    arrays = {
        field.name: np.concatenate([getattr(motion, field.name) for motion in motions])
        for field in dataclasses.fields(Motion)
        if field.name != "shape"
    }
    return Motion(shape=motions[0].shape, **arrays)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--count", type=int, default=10_000, help="sampled frames")
    count = parser.parse_args().count
    head = load_head("open")
    examine = Examiner(head)
    limits = {"lips": LIPS_M, "lids": LIDS_M, "eyeball": EYEBALL_M, "teeth": TEETH_M, "ajar": LIDS_M}
    found: dict[str, list[Array]] = {name: [] for name in limits}
    worst: list[tuple[float, str, int, int]] = []
    shut_count = 0
    for index, motion, shut in frames(head, count):
        clash = examine(motion, shut)
        shut_count += int(shut.sum())
        for name, limit in limits.items():
            values = getattr(clash, name)
            found[name].append(values)
            worst += [(float(values[t]) / limit, name, index, int(t)) for t in np.flatnonzero(values > limit)]
    print(f"{count} frames of {len(found['lips'])} clips; {shut_count} with shut lids")
    for name, limit in limits.items():
        values = np.concatenate(found[name])
        print(
            f"{name:8} beyond {1000 * limit:.1f} mm: {int((values > limit).sum()):5d} of {count}"
            f"   99.9 % {1000 * np.quantile(values, 0.999):.2f} mm   most {1000 * values.max():.2f} mm"
        )
    for ratio, name, index, t in sorted(worst, reverse=True)[:20]:
        print(f"  {name:8} {ratio * limits[name] * 1000:.2f} mm  clip {index} frame {t}")


if __name__ == "__main__":
    main()
