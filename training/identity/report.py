"""Whether an encoder tells people apart whom it has not seen."""

from __future__ import annotations

import dataclasses
import json
from dataclasses import dataclass

import torch
from torchmetrics.functional.classification import binary_auroc

from manifests.errors import UserError
from training.data.clips import Clips
from training.data.samples import colours
from training.identity.encoder import IdentityEncoder
from training.progress import Show, silent


@dataclass(frozen=True)
class IdentityReport:
    """On one split of a corpus; each person in two pictures, as far apart as the clips have them."""

    corpus: str
    split: str
    people: int
    same: float
    """Mean similarity of the two pictures of a person."""
    different: float
    """Of two people's."""
    area: float
    """Under the receiver operating characteristic: how often a pair of one person is nearer than one of two."""
    first: float
    """Share of people whose other picture is the nearest of all people's."""

    def to_json(self) -> str:
        return json.dumps(dataclasses.asdict(self), indent=2, sort_keys=True) + "\n"

    def to_markdown(self) -> str:
        return (
            f"{self.people} people of split {self.split}: pictures of one are {self.same:.2f} alike, of two "
            f"{self.different:.2f}; a pair of one is nearer than a pair of two in {self.area:.1%}, and the nearest of "
            f"all people's in {self.first:.1%} (chance {1 / self.people:.1%}).\n"
        )


def report_identity(
    encoder: IdentityEncoder, corpus: str, split: str | None = "test", device: str = "cpu", progress: Show = silent
) -> IdentityReport:
    """Raises UserError for a split of fewer than two people, or of people who are seen once."""
    clips = Clips(corpus, split=split)
    people = {clips.person(i): clips.same_identity(i) for i in range(len(clips))}
    if len(people) < 2:
        raise UserError(f"{corpus}: {len(people)} people in split {split or 'any'!r}; it takes two")
    encoder = encoder.to(device)
    seen = []
    for done, own in enumerate(people.values()):
        last = clips.info(int(own[-1]))
        if len(own) == last.views == last.frames == 1:
            raise UserError(f"{last.key}: shows a person once; choose a split of more views or frames")
        for i, view, frame in ((int(own[0]), 0, 0), (int(own[-1]), last.views - 1, last.frames - 1)):
            (window,) = clips.windows(i, [(view, range(frame, frame + 1))], members=("rgb",))
            assert window.rgb is not None
            pictures = colours(window.rgb).transpose(0, 1)
            seen.append(encoder.embed(pictures.to(device), torch.from_numpy(window.landmarks).float().to(device)).cpu())
        progress(done + 1, len(people), f"{done + 1} of {len(people)} people")
    one, other = torch.cat(seen).view(len(people), 2, -1).unbind(dim=1)
    alike = one @ other.T
    same = torch.eye(len(people), dtype=torch.bool)
    return IdentityReport(
        corpus=corpus,
        split=split or "any",
        people=len(people),
        same=float(alike[same].mean()),
        different=float(alike[~same].mean()),
        area=float(binary_auroc((alike.flatten() + 1) / 2, same.flatten().int())),
        first=float((alike.argmax(dim=1) == torch.arange(len(people))).float().mean()),
    )
