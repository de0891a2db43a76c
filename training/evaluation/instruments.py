"""The models that measure videos. None is the one that is measured but for its expression encoder, whose codes one of
the two expression distances compares; the other goes by landmarks."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

from training.device import check_device
from training.evaluation.features import Features, load_features
from training.evaluation.lpips import Lpips, load_lpips
from training.identity.cnn import load_identity
from training.identity.encoder import IdentityEncoder
from training.landmarks.detector import LandmarkDetector
from training.landmarks.load import load_detector


@dataclass(frozen=True)
class Instruments:
    """What is None does not measure."""

    detector: LandmarkDetector | None = None
    """Finds faces, for expression, head pose, camera and identity."""
    identity: IdentityEncoder | None = None
    lpips: Lpips | None = None
    features: Features | None = None
    """What sets of videos are compared by."""
    device: str = "cpu"
    """Where all of them are."""

    def missing(self) -> dict[str, str]:
        """Metrics that are not measured, and why."""
        missing = {}
        if self.detector is None:
            names = ("expression", "expression_landmarks", "head_pose_deg", "camera_deg")
            missing = dict.fromkeys(names, "needs a landmark detector (--landmarks)")
        if self.identity is None or self.detector is None:
            missing["identity"] = "needs an identity encoder (--identity) and a landmark detector (--landmarks)"
        if self.lpips is None:
            missing["lpips"] = "needs AlexNet's weights (--lpips)"
        if self.features is None:
            missing["frechet"] = "needs a folder of a feature network (--features)"
        return missing


def load_instruments(
    landmarks: str | Path | None = None,
    identity: str | Path | None = None,
    lpips: str | Path | None = None,
    features: str | Path | None = None,
    device: str = "cpu",
) -> Instruments:
    """From folders, and LPIPS from a file. Raises UserError for what cannot be read, and a device that is not here."""
    check_device(device)
    return Instruments(
        detector=None if landmarks is None else load_detector(landmarks).to(device),
        identity=None if identity is None else load_identity(identity).to(device),
        lpips=None if lpips is None else load_lpips(lpips).to(device),
        features=None if features is None else load_features(features).to(device),
        device=device,
    )
