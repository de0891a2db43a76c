"""Training a landmark detector on a corpus, whose labels are exact, hidden points included."""

from __future__ import annotations

import copy
from dataclasses import dataclass
from pathlib import Path
from typing import Final

import torch
from torch import nn

from training.device import check_device
from training.ema import update_average
from training.folder import check_place
from training.landmarks.cnn import CnnDetector, save_cnn
from training.landmarks.lessons import Batch, draw_batch, measure
from training.landmarks.network import LandmarkNetwork
from training.landmarks.portraits import read_portraits
from training.landmarks.settings import LandmarkSettings
from training.progress import Show, silent
from training.rate import rate
from training.streams import stream, torch_generator

_AVERAGE: Final = 0.995


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
    average = copy.deepcopy(network)
    optimiser = torch.optim.AdamW(network.parameters(), settings.learning_rate, weight_decay=settings.weight_decay)
    for step in range(settings.steps):
        for group in optimiser.param_groups:
            group["lr"] = settings.learning_rate * rate(step / settings.steps)
        batch = _to(draw_batch(portraits, settings.batch, settings.picture_size, generator), settings.device)
        loss = measure(network(batch.pictures), batch)
        optimiser.zero_grad(set_to_none=True)
        loss.total.backward()
        nn.utils.clip_grad_norm_(network.parameters(), 1.0)
        optimiser.step()
        update_average(average, network, step, _AVERAGE)
        words = f"step {step + 1} of {settings.steps}, points off by {float(loss.error):.2%} of the picture"
        progress(step + 1, settings.steps, words)
    detector = CnnDetector(average.cpu().eval(), settings.width, settings.picture_size)
    save_cnn(detector, out)
    return LandmarkFit(Path(out), detector.digest, len(portraits))


def _to(batch: Batch, device: str) -> Batch:
    return Batch(*(getattr(batch, name).to(device) for name in ("pictures", "points", "visible", "face")))
