"""Training an identity encoder on a corpus: pictures of one person are to be nearer than those of two."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

import torch
from torch import Tensor

from manifests.errors import UserError
from training.device import check_device
from training.expression.faces import Faces, read_faces
from training.expression.network import FaceNetwork
from training.folder import check_place
from training.identity.cnn import CnnIdentity, save_identity
from training.identity.lessons import draw_pairs, faces_of_people, told_apart
from training.identity.settings import IdentitySettings
from training.progress import Show, silent
from training.small_network import train_network
from training.streams import stream, torch_generator


@dataclass(frozen=True)
class IdentityFit:
    """An encoder that was written."""

    folder: Path
    digest: str
    people: int

    def __str__(self) -> str:
        return f"{self.folder}: trained on {self.people} people"


def fit_identity(
    corpus: str, out: str | Path, settings: IdentitySettings | None = None, progress: Show = silent
) -> IdentityFit:
    """Train on split ``train`` and write the model folder ``out``.

    Equal corpora, settings and numbers of threads give equal bytes. Raises UserError for a corpus that has no such
    split, or fewer than two people who are seen twice, and for a place that is taken. Who is seen once is left out.
    """
    settings = settings or IdentitySettings()
    check_place(out)
    check_device(settings.device, "identity.device")
    faces = read_faces(
        corpus, "train", settings.size, most=settings.most_faces, seed=settings.seed,
        progress=lambda done, total: progress(done, total, f"reading faces, {done} of {total} clips"),
    )  # fmt: skip
    encoder = train_identity(faces, settings, progress)
    save_identity(encoder, out)
    return IdentityFit(Path(out), encoder.digest, len(faces_of_people(faces)))


def train_identity(faces: Faces, settings: IdentitySettings, progress: Show = silent) -> CnnIdentity:
    """Raises UserError for faces of fewer than two people who are seen twice."""
    people = faces_of_people(faces)
    if len(people) < 2:
        raise UserError(f"identity: {len(people)} people of split 'train' are seen twice; take hundreds, in two views")
    generator = torch_generator(settings.seed, "identity", "batches")
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(stream(settings.seed, "identity", "weights"))
        network = FaceNetwork(settings.code_size, settings.size, settings.width)
    network.to(settings.device)

    def lesson() -> tuple[Tensor, str]:
        loss = told_apart(network(draw_pairs(faces, people, settings.people, generator).to(settings.device)))
        return loss, f"loss {loss.item():.3f}"

    average = train_network(
        network, lesson, steps=settings.steps, learning_rate=settings.learning_rate,
        weight_decay=settings.weight_decay, progress=progress,
    )  # fmt: skip
    return CnnIdentity(average, settings.size, settings.width, settings.code_size)
