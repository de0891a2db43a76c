"""Pairs of pictures that an identity encoder learns from, and what it is asked of them."""

from __future__ import annotations

import math
from typing import Any, Final

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor
from torch.nn import functional

from training.expression.augment import augment
from training.expression.faces import Faces

Array = NDArray[Any]

_TEMPERATURE: Final = 0.1


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
