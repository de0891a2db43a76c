"""Fitting a head to the landmarks of a video: who it is, how it moves, and how it is seen.

One camera stands still before the head, level and upright; the head turns and moves before it. Everything is fitted at
once, over all frames, by L-BFGS: reprojection with a robust loss, priors on identity and expression, and smoothness in
time, which also carries over frames in which nothing was found.
"""

from __future__ import annotations

import math
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any, Final

import numpy as np
import torch
from numpy.typing import NDArray
from scipy.spatial.transform import Rotation
from torch import Tensor

from datagen.geometry.cameras import SENSOR_WIDTH_MM, focal_from_intrinsics, intrinsics_from_focal, look_at
from datagen.heads.landmark_model import LandmarkModel
from datagen.heads.model import HeadModel, rotation_matrices
from manifests.clip import Motion
from manifests.errors import UserError, require

Array = NDArray[Any]

_ROBUST: Final = 0.03
"""Errors beyond this share of the face's size count less and less (Geman and McClure, 1987)."""
_WIDE: Final = 0.3
"""The same, while everything is still far from its place."""
_HIDDEN: Final = 0.25
"""Weight of a point that is told to be hidden: where it would be is a guess."""
_SHAPES: Final = 40
"""Identity components, the first of so many, that landmarks can tell anything of."""
_EDGE_M: Final = 0.2
"""Edge of the square about a face's landmarks on the mean head, metres; where a fit begins."""


@dataclass(frozen=True)
class FitSettings:
    """Weights are of squared parameters against squared errors in `_ROBUST` shares of the face's size."""

    focal_length_mm: float = 50.0
    """Of a sensor 36 mm wide: where the search for it begins."""
    focal_spread: float = 0.15
    """How far it may be off, as the deviation of its logarithm; 0 takes it as it is given."""
    shape: float = 0.03
    expression: float = 0.05
    smooth: float = 0.02
    """Of second differences in time of turns (in 0.1 radians) and places (in centimetres)."""
    smooth_expression: float = 0.02
    steps: int = 60

    def __post_init__(self) -> None:
        require(5 <= self.focal_length_mm <= 1000, "track.focal_length_mm", self.focal_length_mm, "5 to 1000")
        for name in ("focal_spread", "shape", "expression", "smooth", "smooth_expression"):
            require(0 <= getattr(self, name) < math.inf, f"track.{name}", getattr(self, name), "0 or more")
        require(self.steps >= 1, "track.steps", self.steps, "at least 1")


@dataclass(frozen=True)
class Fit:
    """A head that moves as the landmarks did."""

    motion: Motion
    intrinsics: Array
    """[3, 3] pixels."""
    world_to_camera: Array
    """[4, 4] metres: one camera for all frames, level; the world's origin is such that the head is mostly in its place
    there."""
    points: Array
    """float32 [T, 70, 2] pixels: where the fitted head has its landmarks."""
    error_px: Array
    """float32 [T]: mean distance of the points that were seen; NaN where nothing was found."""

    @property
    def focal_length_mm(self) -> float:
        return focal_from_intrinsics(self.intrinsics, round(2 * self.intrinsics[0, 2]))


def fit_head(
    head: HeadModel,
    points: Tensor,
    visible: Tensor,
    found: Tensor,
    size: tuple[int, int],
    settings: FitSettings | None = None,
    on_step: Callable[[int, int], None] | None = None,
    shape: Array | None = None,
) -> Fit:
    """Fit to points [T, 70, 2] in pixels of pictures of ``size`` (H, W), each ``visible`` [T, 70] as surely as in
    [0, 1] it says; where ``found`` bool [T] is false, a frame's points count nothing. ``shape`` [S] is who it is, where
    that is known.

    Raises UserError where no frame has a face.
    """
    settings = settings or FitSettings()
    if not bool(found.any()):
        raise UserError("track: no frame shows a face; give a video of one, larger or better lit")
    problem = _Problem(head, points.float(), visible.float(), found, size, settings, shape)
    stages = ((problem.rigid, _WIDE), (problem.everything, _WIDE), (problem.everything, _ROBUST))
    for before, (free, robust) in enumerate(stages):

        def step(done: int, before: int = before) -> None:
            if on_step:
                on_step(before * settings.steps + min(done, settings.steps), len(stages) * settings.steps)

        problem.solve(free, robust, settings.steps, step)
    return problem.result()


class _Problem:
    """The unknowns, and what they cost. Angles are in units of 0.1 radians and lengths in centimetres, so that all are
    of one size."""

    def __init__(
        self,
        head: HeadModel,
        points: Tensor,
        visible: Tensor,
        found: Tensor,
        size: tuple[int, int],
        settings: FitSettings,
        shape: Array | None,
    ) -> None:
        self.head, self.size, self.settings, self.found = head, size, settings, found
        self.model = LandmarkModel(head)
        self.points = _filled(points, found)
        self.weight = (_HIDDEN + (1 - _HIDDEN) * visible) * found[:, None]
        self.weight = self.weight / self.weight.sum()
        spans = self.points.amax(dim=1) - self.points.amin(dim=1)
        self.scale = spans.amax(dim=1).clamp_min(1.0)  # [T] pixels
        frames, info = len(points), head.info
        self.focal = torch.zeros(1)
        known = None if shape is None else torch.from_numpy(np.asarray(shape, np.float32))
        self.shape = torch.zeros(min(_SHAPES, info.identity_size)) if known is None else known
        self.expression = torch.zeros(frames, info.expression_size)
        self.jaw, self.eyes = torch.zeros(frames, 1), torch.zeros(frames, 2)
        self.distance = self._distance()
        self.camera = torch.from_numpy(look_at(np.add(info.head_centre, [0, 0, self.distance]), info.head_centre))
        self.root, self.translation = self._start()
        self.rigid = [self.root, self.translation]
        self.everything = [*self.rigid, self.expression, self.jaw, self.eyes]
        if known is None:
            self.everything.append(self.shape)
        if settings.focal_spread:
            self.everything.append(self.focal)

    def solve(self, free: list[Tensor], robust: float, steps: int, on_step: Callable[[int], None]) -> None:
        for tensor in self.everything:
            tensor.requires_grad_(any(tensor is each for each in free))
        optimiser = torch.optim.LBFGS(free, max_iter=steps, history_size=20, line_search_fn="strong_wolfe")
        calls = 0

        def closure() -> Tensor:
            nonlocal calls
            calls += 1
            optimiser.zero_grad()
            cost = self.cost(robust)
            cost.backward()
            on_step(calls)
            return cost

        optimiser.step(closure)

    def cost(self, robust: float) -> Tensor:
        settings = self.settings
        square = ((self.seen() - self.points) / self.scale[:, None, None] / robust).square().sum(dim=-1)
        total = (robust / _ROBUST) ** 2 * (self.weight * square / (1 + square)).sum()
        total = total + settings.shape * self.shape.square().mean()
        total = total + settings.expression * self._expression_prior()
        for track, weight in (
            (self.root, settings.smooth),
            (self.translation, settings.smooth),
            (10 * self.expression, settings.smooth_expression),
            (self.jaw, settings.smooth_expression),
            (self.eyes, settings.smooth_expression),
        ):
            if len(track) > 2:
                total = total + weight * (track[2:] - 2 * track[1:-1] + track[:-2]).square().mean()
        if settings.focal_spread:
            total = total + _FOCAL * (self.focal / settings.focal_spread).square().sum()
        return total

    def seen(self) -> Tensor:
        """Pixels [T, 70, 2] of the head's landmarks."""
        world = self.model(self.shape, self.expression, **self._tracks())
        camera = self.camera.float()
        local = world @ camera[:3, :3].T + camera[:3, 3]
        focal = self._focal()
        middle = local.new_tensor([self.size[1] / 2, self.size[0] / 2])
        return local[..., :2] / local[..., 2:].clamp_min(0.05) * focal + middle

    @torch.no_grad()
    def result(self) -> Fit:
        points, (height, width) = self.seen(), self.size
        seen = (self.points - points).norm(dim=-1)
        looked = self.weight > 0.5 * self.weight.amax(dim=1, keepdim=True)
        error = (seen * looked).sum(dim=1) / looked.sum(dim=1).clamp_min(1)
        tracks = {name: track.detach().numpy().astype(np.float32) for name, track in self._tracks().items()}
        # The head's place is where it mostly is: the world goes there, and the camera with it.
        centre = np.asarray(self.head.info.head_centre)
        away = rotation_matrices(tracks["root"]) @ centre + tracks["translation"] - centre
        rest = np.median(away[self.found.numpy()], axis=0)
        tracks["translation"] = (tracks["translation"] - rest).astype(np.float32)
        world_to_camera = self.camera.numpy().copy()
        world_to_camera[:3, 3] += world_to_camera[:3, :3] @ rest
        return Fit(
            motion=Motion(
                shape=self.shape.detach().numpy().astype(np.float32),
                expression=self.expression.detach().numpy().astype(np.float32),
                **tracks,
            ),
            intrinsics=intrinsics_from_focal(float(self._focal()) * SENSOR_WIDTH_MM / width, width, height),
            world_to_camera=world_to_camera,
            points=points.numpy().astype(np.float32),
            error_px=torch.where(self.found, error, torch.nan).numpy().astype(np.float32),
        )

    def _tracks(self) -> dict[str, Tensor]:
        """Root, neck, jaw, eyes [T, 3] in radians, and translation in metres. The whole head turns: what the neck bends
        is not seen in a face."""
        still = torch.zeros_like(self.root)
        jaw = torch.nn.functional.pad(self.jaw / 10, (0, 2))
        eyes = torch.nn.functional.pad(self.eyes / 10, (0, 1))
        return {
            "root": self.root / 10, "neck": still, "jaw": jaw, "left_eye": eyes, "right_eye": eyes,
            "translation": self.translation / 100,
        }  # fmt: skip

    def _expression_prior(self) -> Tensor:
        """Small; and where components have names they are shares of whole shapes, so not below 0."""
        below = self.expression.clamp(max=0).square() if self.head.info.expression_names else 0 * self.expression
        return (self.expression.square() + 20 * below).sum(dim=1).mean() + 0.1 * self.eyes.square().mean()

    def _focal(self) -> Tensor:
        """Pixels."""
        return torch.exp(self.focal) * (self.settings.focal_length_mm / SENSOR_WIDTH_MM * self.size[1])

    def _distance(self) -> float:
        """Metres at which a mean head is as large as the face is in the middle of the video."""
        return float(self._focal() * _EDGE_M / self.scale[self.found].median())

    def _start(self) -> tuple[Tensor, Tensor]:
        """Root and translation [T, 3] by which scaled orthography sees the mean head's rigid points where they are."""
        mean = self.model.mean()[list(_RIGID)]
        seen, middle = self.points[:, list(_RIGID)], mean.mean(dim=0)
        affine = torch.linalg.pinv(mean - middle) @ (seen - seen.mean(dim=1, keepdim=True))  # [T, 3, 2]
        axes = affine.mT * affine.new_tensor([[1.0], [-1.0]])  # pictures' y is down
        scale = axes.square().sum(dim=(1, 2)).sqrt() / math.sqrt(2)  # pixels a metre
        rows = torch.cat([axes, torch.linalg.cross(axes[:, :1], axes[:, 1:]) / scale[:, None, None]], dim=1)
        left, _, right = torch.linalg.svd(rows)
        turned = left @ right
        depth = self._focal() / scale
        centre = self.points.new_tensor([self.size[1] / 2, self.size[0] / 2])
        shift = (seen.mean(dim=1) - centre) / scale[:, None]
        head_centre = self.points.new_tensor(self.head.info.head_centre)
        shift = shift * shift.new_tensor([1.0, -1.0])
        place = torch.cat([shift, (self.distance - depth)[:, None]], dim=1) + head_centre - turned @ middle
        root = torch.from_numpy(Rotation.from_matrix(turned.numpy()).as_rotvec()).float()
        return (root * 10).contiguous(), (place * 100).contiguous()


_FOCAL: Final = 1e-3
_RIGID: Final = (0, 1, 2, 14, 15, 16, *range(27, 36), 36, 39, 42, 45)
"""Points that expression hardly moves: by the ears, on the nose, and the corners of the eyes."""


def _filled(points: Tensor, found: Tensor) -> Tensor:
    """Points of frames in which nothing was found, between those of their neighbours; only a start, for they count
    nothing."""
    known = torch.nonzero(found).flatten().numpy()
    frames = np.arange(len(points))
    flat = points.flatten(1).numpy()
    columns = [np.interp(frames, known, flat[known, k]) for k in range(flat.shape[1])]
    return torch.from_numpy(np.stack(columns, axis=1)).float().view_as(points)
