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


class GeometryProbe(Protocol):
    """Poses the clip's head and rasterises it. Raises UserError if the head is not on this machine."""

    def __call__(
        self,
        spec: Mapping[str, Any],
        motion: Mapping[str, Array],
        cameras: Mapping[str, Array],
        pictures: Sequence[tuple[int, int]],
    ) -> list[Expected]:
        """For the given (view, frame) pairs."""
        ...


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
