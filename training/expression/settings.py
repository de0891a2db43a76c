"""What training an expression encoder can be told."""

from __future__ import annotations

from dataclasses import dataclass, field

from manifests.errors import UserError
from training.expression.cnn import CnnSizes
from training.expression.faces import MOST_FACES


@dataclass(frozen=True)
class ExpressionSettings:
    """Raises UserError for a value that cannot be."""

    sizes: CnnSizes = field(default_factory=CnnSizes)
    steps: int = 4000
    minutes: float | None = None
    """Training stops after so long, if `steps` are not done before. Such a run is not repeatable."""
    moments: int = 32
    """Moments a step, each in `views` views."""
    views: int = 2
    learning_rate: float = 2e-3
    weight_decay: float = 0.05
    coefficients: float = 0.3
    """Share of the coefficients among the targets; the rest are the landmarks' displacements."""
    invariance: float = 0.1
    """Weight of the squared difference of the codes of a moment's views, whose numbers have unit variance."""
    independence: float = 0.3
    """Weight of the squared correlations of codes with the head's pose."""
    places: float = 1.0
    """Weight of the lesson beside: where in the crop each landmark is, and how the head is turned."""
    augmentation: float = 1.0
    """Strength of what is done to the crops; 0 leaves them alone."""
    mirror: bool = True
    """Whether half the faces are mirrored, with what they are to tell."""
    most_faces: int = MOST_FACES
    """Crops held in memory; of larger splits each clip gives fewer frames."""
    seed: int = 0
    device: str = "cpu"

    def __post_init__(self) -> None:
        for name in ("steps", "moments", "views", "most_faces"):
            if getattr(self, name) < 1:
                raise UserError(f"expression.{name}: {getattr(self, name)} given; must be 1 or more")
        if self.moments * self.views < 2:
            raise UserError("expression.moments: 1 given with 1 view; a step needs two faces or more")
        if self.minutes is not None and self.minutes <= 0:
            raise UserError(f"expression.minutes: {self.minutes} given; must be above 0, or left out")
        if self.learning_rate <= 0:
            raise UserError(f"expression.learning_rate: {self.learning_rate} given; must be above 0")
        for name in ("weight_decay", "invariance", "independence", "places", "augmentation"):
            if getattr(self, name) < 0:
                raise UserError(f"expression.{name}: {getattr(self, name)} given; must be 0 or more")
        if not 0 <= self.coefficients <= 1:
            raise UserError(f"expression.coefficients: {self.coefficients} given; must be in [0, 1]")
