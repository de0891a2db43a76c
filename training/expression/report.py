"""How well codes tell expression and nothing else: a report on people the encoder has never seen."""

from __future__ import annotations

import dataclasses
import json
import math
from dataclasses import dataclass
from typing import Any, Final

import numpy as np
from numpy.typing import NDArray
from PIL import Image
from torch.nn import functional

from training.expression.encoder import ExpressionEncoder
from training.expression.faces import Faces, encode_faces, read_faces
from training.expression.probes import GroupScore, Scores, probe
from training.expression.targets import scales
from training.progress import Show, silent
from training.streams import rng

Array = NDArray[Any]

_MOST_FACES: Final = 20_000
_THUMBNAIL: Final = 16
_COEFFICIENTS: Final = 0.3


@dataclass(frozen=True)
class ExpressionReport:
    """Scores of linear probes from the encoder's codes, beside those from what the codes should be between."""

    digest: str
    """Of the encoder."""
    corpus: str
    split: str
    code_size: int
    people: int
    faces: int
    training_people: int
    code: Scores
    pixels: Scores
    """The same probes from the crops themselves, in grey at 16 x 16 pixels: what is there to be read without any
    encoder."""
    truth: Scores
    """The same from the true expression: a person, pose and camera can be guessed from it as far as clips differ."""

    def to_json(self) -> str:
        return json.dumps(_plain(dataclasses.asdict(self)), indent=2)

    def to_markdown(self) -> str:
        lines = [
            f"# Expression encoder {self.digest[:12]}",
            "",
            f"Codes of {self.code_size} numbers. Probes are linear, fitted on {self.training_people} training people "
            f"and judged on {self.people} people never seen ({self.faces} faces of split `{self.split}`).",
            "",
            "## Expression: R² on people never seen (1 is perfect, 0 is the mean)",
            "",
            "| part | landmarks | by visible effect | plain mean | pixels: landmarks | pixels: visible |",
            "| --- | --- | --- | --- | --- | --- |",
        ]
        nothing = GroupScore(None, None, None)
        for part, score in self.code.groups.items():
            pixels = self.pixels.groups.get(part, nothing)
            numbers = (score.landmarks, score.visible, score.plain, pixels.landmarks, pixels.visible)
            lines.append(f"| {part} | " + " | ".join(_number(value) for value in numbers) + " |")
        lines += [
            "",
            "## What a code should not tell",
            "",
            "| probe | code | pixels | true expression | at best |",
            "| --- | --- | --- | --- | --- |",
        ]
        chance = f"{_number(self.code.identity_chance)} (chance)"
        for name, words, best in _NUISANCES:
            row = (getattr(scores, name) for scores in (self.code, self.pixels, self.truth))
            lines.append(f"| {words} | " + " | ".join(map(_number, row)) + f" | {best or chance} |")
        return "\n".join(lines) + "\n"


_NUISANCES: Final = (
    ("identity_accuracy", "identity, accuracy", ""),
    ("head_yaw", "head yaw as the camera sees it, R²", "0"),
    ("head_pitch", "head pitch as the camera sees it, R²", "0"),
    ("camera_yaw", "camera's place around the head, R²", "0"),
    ("camera_pitch", "camera's height, R²", "0"),
    ("view_spread", "distance of two views of a moment, by that of two moments", "0"),
)


def report_expression(
    encoder: ExpressionEncoder, corpus: str, split: str = "test", *, progress: Show = silent
) -> ExpressionReport:
    """Probe an encoder on the people of a split; those of split ``train`` fit the probes.

    Raises UserError for a corpus without such splits, or whose clips `read_faces` refuses.
    """
    report, _ = report_and_sheet(encoder, corpus, split, progress=progress)
    return report


def report_and_sheet(
    encoder: ExpressionEncoder, corpus: str, split: str = "test", *, progress: Show = silent
) -> tuple[ExpressionReport, Image.Image]:
    """The report, and `retrieval_sheet` of the same people; faces are read once."""

    def reading(done: int, total: int) -> None:
        progress(done, total, f"reading faces, {done} of {total} clips")

    train = read_faces(corpus, "train", encoder.picture_size, most=_MOST_FACES, progress=reading)
    unseen = read_faces(corpus, split, encoder.picture_size, most=_MOST_FACES, progress=reading)
    device = next((weight.device for weight in encoder.parameters()), "cpu")
    codes = tuple(encode_faces(encoder.encode, faces, device).float().numpy() for faces in (train, unseen))
    scale = scales(train.face.targets, train.targets, _COEFFICIENTS)
    truth = ((faces.targets * scale)[faces.moment] for faces in (train, unseen))
    thumbnails = (_thumbnails(faces) for faces in (train, unseen))

    def scores(train_codes: Array, unseen_codes: Array) -> Scores:
        return probe(train_codes, train, unseen_codes, unseen)

    report = ExpressionReport(
        digest=encoder.digest,
        corpus=corpus,
        split=split,
        code_size=encoder.code_size,
        people=len(np.unique(unseen.identity)),
        faces=len(unseen),
        training_people=len(np.unique(train.identity)),
        code=scores(*codes),
        pixels=scores(*thumbnails),
        truth=scores(*truth),
    )
    return report, retrieval_sheet(codes[1], unseen)


def retrieval_sheet(
    codes: Array, faces: Faces, queries: int = 10, nearest: int = 7, scale: int = 2, seed: int = 0
) -> Image.Image:
    """A row a query: its face, then those of other people with the nearest codes, a person once.

    Expressions along a row should agree, and people, light and views should not. Queries are drawn by ``seed``.
    """
    generator = rng(seed, "retrieval")
    people = generator.permutation(np.unique(faces.identity))[:queries]
    rows = []
    for person in people:
        query = generator.choice(np.flatnonzero(faces.identity == person))
        shown = [query]
        met = {int(person)}
        for face in np.argsort(np.square(codes - codes[query]).sum(axis=1), kind="stable"):
            if len(shown) > nearest:
                break
            if int(faces.identity[face]) not in met:
                met.add(int(faces.identity[face]))
                shown.append(face)
        pictures = list(faces.crops[shown].permute(0, 2, 3, 1).numpy())
        pictures += [np.zeros_like(pictures[0])] * (nearest + 1 - len(pictures))
        gap = np.full((pictures[0].shape[0], 4, 3), 255, np.uint8)
        rows.append(np.concatenate([pictures[0], gap, *pictures[1:]], axis=1))
    sheet = Image.fromarray(np.concatenate(rows))
    return sheet.resize((sheet.width * scale, sheet.height * scale), Image.Resampling.NEAREST)


def _thumbnails(faces: Faces) -> Array:
    """float32 [N, 16 x 16]: grey."""
    grey = faces.crops.float().mean(dim=1, keepdim=True)
    return functional.adaptive_avg_pool2d(grey, _THUMBNAIL).flatten(1).numpy()


def _number(value: float | None) -> str:
    return "–" if value is None or math.isnan(value) else f"{value:.2f}"


def _plain(value: Any) -> Any:
    """JSON has no NaN."""
    if isinstance(value, dict):
        return {key: _plain(item) for key, item in value.items()}
    return None if isinstance(value, float) and math.isnan(value) else value
