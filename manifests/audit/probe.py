"""What an audit asks of the rooms above it. The front door hands these functions down."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Protocol

from numpy.typing import NDArray

from manifests.clip import Member

Array = NDArray[Any]


@dataclass(frozen=True)
class Expected:
    """What the mesh of a clip looks like from one of its cameras, made anew from its stored parameters."""

    view: int
    frame: int
    mask: Array
    """bool [H, W]: where the mesh is."""
    depth: Array
    """float32 [H, W], metres; 0 where there is none."""
    pose_normals: Array
    """float32 [H, W, 3], world space, with a neutral face; 0 where there is none."""
    normals: Array
    """float32 [H, W, 3], with expression."""
    points: Array
    """float32 [70, 3]: landmarks in world metres."""
    pixels: Array
    """float32 [70, 2]: the same in the picture."""


@dataclass(frozen=True)
class Places:
    """N places on the mesh of a clip in each of its T frames, made anew from its stored parameters."""

    points: Array
    """float32 [T, N, 3], world metres."""
    normals: Array
    """float32 [T, N, 3], unit, world space."""
    pose_points: Array
    """float32 [T, N, 3]: the same places with a neutral face."""
    pose_normals: Array
    """float32 [T, N, 3]."""
    classes: Array
    """uint8 [N], indices into `manifests.conventions.SEGMENTATION_CLASSES`; 0 for places at a border."""
    uv: Array | None
    """float32 [N, 2], texture coordinates, if the head has any."""
    landmarks: Array
    """float32 [T, 70, 3], world metres."""


class PicturesProbe(Protocol):
    """Poses the clip's head and rasterises it. Raises UserError if the head is not on this machine."""

    def __call__(
        self,
        spec: Mapping[str, Any],
        motion: Mapping[str, Array],
        cameras: Mapping[str, Array],
        wanted: Sequence[tuple[int, int]],
    ) -> list[Expected]:
        """For the given (view, frame) pairs."""
        ...


class PlacesProbe(Protocol):
    """Poses the clip's head in all frames. Raises UserError if the head is not on this machine."""

    def __call__(self, spec: Mapping[str, Any], motion: Mapping[str, Array], count: int) -> Places:
        """For so many places of its surface, evenly spread."""
        ...


@dataclass(frozen=True)
class GeometryProbe:
    """A clip's geometry, made anew: dense in some pictures, and at some places in all."""

    pictures: PicturesProbe
    places: PlacesProbe


class MeshProbe(Protocol):
    """Poses the clip's head. Raises UserError if the head is not on this machine."""

    def __call__(self, spec: Mapping[str, Any], motion: Mapping[str, Array]) -> tuple[Array, Array]:
        """Vertices float32 [T, V, 3] in world metres and faces int32 [F, 3]."""
        ...


class Rerender(Protocol):
    """Renders a clip of a corpus again. Raises UserError if it cannot be on this machine."""

    def __call__(self, config: Mapping[str, Any], index: int, device: str | None) -> list[Member]:
        """From the corpus's resolved configuration; `device` takes the place of the configuration's."""
        ...
