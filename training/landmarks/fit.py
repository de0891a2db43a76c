"""Training a landmark detector on a corpus, whose labels are exact, hidden points included."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

import torch
from torch import Tensor

from training.device import check_device
from training.folder import check_place
from training.landmarks.cnn import CnnDetector, save_cnn
from training.landmarks.lessons import Batch, draw_batch, measure
from training.landmarks.network import LandmarkNetwork
from training.landmarks.portraits import read_portraits
from training.landmarks.settings import LandmarkSettings
from training.progress import Show, silent
from training.small_network import train_network
from training.streams import stream, torch_generator


@dataclass(frozen=True)
class LandmarkFit:
    """A detector that was written."""

    folder: Path
    digest: str
    faces: int

    def __str__(self) -> str:
        return f"{self.folder}: trained on {self.faces} pictures"


def fit_landmarks(
    corpus: str, out: str | Path, settings: LandmarkSettings | None = None, progress: Show = silent
) -> LandmarkFit:
    """Train on split ``train`` and write the model folder ``out``.

    Equal corpora, settings and numbers of threads give equal bytes. Raises UserError for a corpus that has no such
    split, and for a place that is taken.
    """
    settings = settings or LandmarkSettings()
    check_place(out)
    check_device(settings.device, "landmarks.device")
    portraits = read_portraits(
        corpus, "train", settings.most_faces, settings.seed,
        lambda done, total: progress(done, total, f"reading faces, {done} of {total} clips"),
    )  # fmt: skip
    generator = torch_generator(settings.seed, "landmarks", "batches")
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(stream(settings.seed, "landmarks", "weights"))
        network = LandmarkNetwork(settings.width)
    network.to(settings.device)

    def lesson() -> tuple[Tensor, str]:
        batch = _to(draw_batch(portraits, settings.batch, settings.picture_size, generator), settings.device)
        loss = measure(network(batch.pictures), batch)
        return loss.total, f"points off by {float(loss.error):.2%} of the picture"

    average = train_network(
        network, lesson, steps=settings.steps, learning_rate=settings.learning_rate,
        weight_decay=settings.weight_decay, progress=progress,
    )  # fmt: skip
    detector = CnnDetector(average, settings.width, settings.picture_size)
    save_cnn(detector, out)
    return LandmarkFit(Path(out), detector.digest, len(portraits))


def _to(batch: Batch, device: str) -> Batch:
    return Batch(*(getattr(batch, name).to(device) for name in ("pictures", "points", "visible", "face")))
