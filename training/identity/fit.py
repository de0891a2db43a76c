"""Training an identity encoder on a corpus: pictures of one person are to be nearer than those of two."""

from __future__ import annotations

import math
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Final

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor
from torch.nn import functional

from manifests.errors import UserError, require
from training.device import check_device
from training.expression.augment import augment
from training.expression.faces import Faces, read_faces
from training.expression.network import FaceNetwork
from training.folder import check_place
from training.identity.cnn import CnnIdentity, save_identity
from training.progress import Show, silent
from training.small_network import train_network
from training.streams import stream, torch_generator

Array = NDArray[Any]

_TEMPERATURE: Final = 0.1


@dataclass(frozen=True)
class IdentitySettings:
    """Raises UserError for a value that cannot be."""

    size: int = 48
    """Of the crops, in pixels."""
    width: int = 24
    code_size: int = 64
    steps: int = 2000
    people: int = 64
    """Of a batch, each of whom is seen twice."""
    learning_rate: float = 1e-3
    weight_decay: float = 0.05
    most_faces: int = 60_000
    seed: int = 0
    device: str = "cpu"

    def __post_init__(self) -> None:
        require(16 <= self.size <= 256 and self.size % 8 == 0, "identity.size", self.size, "a multiple of 8, 16 to 256")
        require(4 <= self.width <= 256, "identity.width", self.width, "4 to 256")
        require(2 <= self.code_size <= 1024, "identity.code_size", self.code_size, "2 to 1024")
        require(self.people >= 2, "identity.people", self.people, "at least 2")
        for name in ("steps", "most_faces"):
            require(getattr(self, name) >= 1, f"identity.{name}", getattr(self, name), "at least 1")
        rates = 0 < self.learning_rate < math.inf
        require(rates, "identity.learning_rate", self.learning_rate, "a number above 0")
        require(0 <= self.weight_decay < math.inf, "identity.weight_decay", self.weight_decay, "0 or more")


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


def faces_of_people(faces: Faces) -> list[Array]:
    """Rows of each person who is seen at least twice."""
    order = np.argsort(faces.identity, kind="stable")
    rows = np.split(order, np.flatnonzero(np.diff(faces.identity[order])) + 1)
    return [each for each in rows if len(each) > 1]


def draw_pairs(faces: Faces, people: list[Array], count: int, generator: torch.Generator) -> Tensor:
    """[2 n, 3, size, size]: n people, at most ``count``, each in two pictures, n rows apart. Each picture has light,
    colour and sharpness of its own, for those are the clip's and not the person's, and half are mirrored."""
    chosen = torch.randperm(len(people), generator=generator)[:count].tolist()
    pairs = [people[i][torch.randperm(len(people[i]), generator=generator)[:2].numpy()] for i in chosen]
    pictures = faces.pictures(np.stack(pairs, axis=1).reshape(-1))
    pictures, _ = augment(pictures, torch.zeros(len(pictures), 1, 2), generator)
    turned = torch.rand(len(pictures), generator=generator) < 0.5
    return torch.where(turned[:, None, None, None], pictures.flip(-1), pictures)


def told_apart(vectors: Tensor) -> Tensor:
    """Cross entropy of finding each picture's other among all (Chen et al., "A simple framework for contrastive
    learning of visual representations", 2020), of vectors [2 n, D] as `draw_pairs` orders them."""
    count = len(vectors) // 2
    vectors = functional.normalize(vectors, dim=1)
    alike = vectors @ vectors.T / _TEMPERATURE
    alike = alike.masked_fill(torch.eye(2 * count, dtype=torch.bool, device=vectors.device), -math.inf)
    other = torch.arange(2 * count, device=vectors.device).roll(count)
    return functional.cross_entropy(alike, other)
