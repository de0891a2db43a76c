"""Training an expression encoder on a corpus, where the truth is known."""

from __future__ import annotations

import copy
import math
import time
from dataclasses import dataclass
from pathlib import Path
from typing import Final

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor, nn

from manifests.errors import UserError
from training.data.clips import Clips
from training.device import check_device
from training.ema import update_average
from training.expression.cnn import CnnEncoder, save_cnn
from training.expression.faces import Faces, encode_faces, read_faces
from training.expression.lessons import Batch, Classroom, Pupil
from training.expression.network import FaceNetwork
from training.expression.probes import read_linearly
from training.expression.settings import ExpressionSettings
from training.folder import check_place
from training.progress import Show, silent
from training.rate import rate
from training.streams import stream, torch_generator

_LEAST_CLIPS: Final = 2
_CHECKS: Final = 10
"""How often it is judged by the validation people."""

_LAST_RATE: Final = 0.02
_AVERAGE: Final = 0.99
_MEASURED: Final = 4096
"""Faces, at most, that codes are composed by."""
_RIDGE: Final = 1e-3
_LEAST_DEVIATION: Final = 1e-6
_FAINT: Final = 1e-3
"""Of what moves in faces, the share that is told from noise."""


@dataclass(frozen=True)
class ExpressionFit:
    """What `fit_expression` made."""

    folder: Path
    digest: str
    steps: int
    """Those that were taken."""
    chosen: int
    """The step whose network was kept."""
    unexplained: float | None
    """Share of the visible variance of expressions that it leaves unexplained on the validation people; None without
    any, when the last network is kept."""

    def __str__(self) -> str:
        told = "no validation people" if self.unexplained is None else f"{1 - self.unexplained:.1%} of what moves told"
        return f"{self.folder}: step {self.chosen} of {self.steps}, {told}"


def fit_expression(
    corpus: str, out: str | Path, settings: ExpressionSettings | None = None, *, progress: Show = silent
) -> ExpressionFit:
    """Train on split ``train``, keep the network that tells most of split ``validation``, write the folder ``out``.

    Equal corpora, settings and numbers of threads give equal bytes, unless ``minutes`` ends it. Raises UserError for
    a corpus that lacks clips, views or named expressions, and for a place that is taken.
    """
    settings = settings or ExpressionSettings()
    check_place(out)
    check_device(settings.device, "expression.device")
    size = settings.sizes.picture_size

    def reading(done: int, total: int) -> None:
        progress(done, total, f"reading faces, {done} of {total} clips")

    faces = read_faces(corpus, "train", size, most=settings.most_faces, seed=settings.seed, progress=reading)
    clips = len(set(faces.clip.tolist()))
    if clips < _LEAST_CLIPS:
        raise UserError(
            f"{corpus}: {clips} clip in split 'train'; an encoder needs hundreds, and {_LEAST_CLIPS} to begin"
        )
    judges = _validation(corpus, settings)
    classroom = Classroom(faces, settings)
    network, steps, chosen, unexplained = train(classroom, judges, settings, progress)
    names = tuple(target.name for target in faces.face.targets)
    encoder = CnnEncoder(settings.sizes, network.cpu().eval(), names, codes_of_targets(network, faces))
    save_cnn(encoder, out)
    return ExpressionFit(Path(out), encoder.digest, steps, chosen, unexplained)


def codes_of_targets(network: nn.Module, faces: Faces) -> tuple[Tensor, Tensor]:
    """`CnnEncoder.of_targets`: ridge regression of codes on what the faces of `_spread` truly show."""
    rows = _spread(faces)
    codes = encode_faces(network, faces, rows=rows).double()
    targets = torch.from_numpy(faces.targets[faces.moment[rows]]).double()
    mean, told = targets.mean(dim=0), codes.mean(dim=0)
    apart = targets - mean
    scatter = apart.T @ apart
    ridge = _RIDGE * scatter.diagonal().mean().clamp_min(1e-12)
    weight = torch.linalg.solve(
        scatter + ridge * torch.eye(len(scatter), dtype=scatter.dtype), apart.T @ (codes - told)
    )
    return weight.T.float().contiguous(), (told - mean @ weight).float()


def train(
    classroom: Classroom, judges: Faces | None, settings: ExpressionSettings, progress: Show = silent
) -> tuple[FaceNetwork, int, int, float | None]:
    """The network, its code composed; steps taken, the step that was kept, and what it leaves unexplained."""
    generator = torch_generator(settings.seed, "expression", "batches")
    pupil = _new_pupil(classroom, settings).to(settings.device)
    average = copy.deepcopy(pupil)
    decayed = [p for p in pupil.parameters() if p.ndim > 1]
    others = [p for p in pupil.parameters() if p.ndim <= 1]
    groups = [{"params": decayed, "weight_decay": settings.weight_decay}, {"params": others, "weight_decay": 0.0}]
    optimiser = torch.optim.AdamW(groups, lr=settings.learning_rate)
    best: tuple[float, int, FaceNetwork] | None = None
    told = math.nan
    began, step, share, check = time.monotonic(), 0, 0.0, 1
    while share < 1:
        for group in optimiser.param_groups:
            group["lr"] = settings.learning_rate * rate(share, _LAST_RATE)
        loss = pupil(_to(classroom.batch(generator), settings.device), settings)
        optimiser.zero_grad(set_to_none=True)
        loss.total.backward()
        nn.utils.clip_grad_norm_(pupil.parameters(), 1.0)
        optimiser.step()
        step += 1
        update_average(average, pupil, step - 1, _AVERAGE)
        minutes = (time.monotonic() - began) / 60
        share = max(step / settings.steps, minutes / settings.minutes if settings.minutes else 0.0)
        if judges is not None and (share >= check / _CHECKS or share >= 1):
            check = int(share * _CHECKS) + 1
            network, codes = _composed(average, classroom.faces, settings.device)
            told = _unexplained(network, codes, classroom, judges, settings.device)
            if best is None or told < best[0]:
                best = told, step, network
        words = f"step {step} of {settings.steps}, unexplained {loss.unexplained:.2f}"
        progress(share * settings.steps, settings.steps, words + (f" ({told:.2f} of others)" if best else ""))
    if best is None:
        return _composed(average, classroom.faces, settings.device)[0], step, step, None
    return best[2], step, best[1], best[0]


def _validation(corpus: str, settings: ExpressionSettings) -> Faces | None:
    try:
        Clips(corpus, split="validation")
    except UserError:  # a corpus without such people: training goes on to its end
        return None
    return read_faces(corpus, "validation", settings.sizes.picture_size, most=settings.most_faces)


def _new_pupil(classroom: Classroom, settings: ExpressionSettings) -> Pupil:
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(stream(settings.seed, "expression", "weights"))
        places = classroom.faces.landmarks[0].size + classroom.faces.pose.shape[1]
        return Pupil(settings.sizes.network(), len(classroom.faces.face.targets), places)


def _to(batch: Batch, device: str) -> Batch:
    return Batch(batch.faces.to(device), batch.targets.to(device), batch.places.to(device))


def _composed(pupil: Pupil, faces: Faces, device: str) -> tuple[FaceNetwork, Tensor]:
    """A copy of the network whose code is made of what it tells, and its codes of the faces of `_spread`.

    The numbers of the code are the principal components of the scaled targets as told on the faces, the most visible
    first, with mean 0 and variance m / (m + `_FAINT`) where m is the share of visible variance that one tells: about
    1, and less for those that hardly show. What the code holds beside what it tells thus goes. All of that is linear,
    and goes into the last layer.
    """
    network = copy.deepcopy(pupil.network).eval()
    codes = encode_faces(network, faces, device, _spread(faces)).double()
    mean, deviation = codes.mean(dim=0), codes.std(dim=0).clamp_min(_LEAST_DEVIATION)
    normal = (codes - mean) / deviation
    values, vectors = torch.linalg.eigh(normal.T @ normal / len(normal))
    root = vectors * values.clamp_min(0).sqrt() @ vectors.T
    told = pupil.targets.weight.detach().cpu().double()
    directions, strength, _ = torch.linalg.svd(told @ root, full_matrices=False)  # [targets, code], [code]
    signs = directions.gather(0, directions.abs().argmax(dim=0, keepdim=True)).sign()
    directions = directions * torch.where(signs == 0, 1.0, signs)
    scale = (strength.square() + _FAINT).sqrt()
    mix = (directions / scale).T @ told / deviation  # [code, code], of raw codes
    weight, bias = network.code.weight.detach().cpu().double(), network.code.bias.detach().cpu().double()
    with torch.no_grad():
        network.code.weight.copy_(mix @ weight)
        network.code.bias.copy_(mix @ (bias - mean))
    return network, (codes - mean) @ mix.T


def _unexplained(network: FaceNetwork, codes: Tensor, classroom: Classroom, judges: Faces, device: str) -> float:
    """Share of the scaled targets' variance on the judges' faces that a linear reader of the codes leaves. It is fitted
    to the training people's ``codes``, those of `_spread`: the pupil's own reader is too sure of itself."""
    faces = classroom.faces
    rows = _spread(faces)
    taught, wanted = (classroom.scaled(torch.from_numpy(of.targets)).numpy() for of in (faces, judges))
    unseen = encode_faces(network, judges, device).double().numpy()
    told = read_linearly(codes.numpy(), taught[faces.moment[rows]], faces.identity[rows], unseen)
    truth = wanted[judges.moment]
    return float(((told - truth) ** 2).mean(axis=0).sum() / max(truth.var(axis=0).sum(), 1e-12))


def _spread(faces: Faces) -> NDArray[np.int64]:
    """Rows of faces from all over, at most `_MEASURED`."""
    return np.unique(np.linspace(0, len(faces) - 1, _MEASURED).astype(np.int64))
