"""The card of a trained model: what it is, what it was made from, under which licences, and what it is for.

The form is that of the Hugging Face hub: a YAML header between two lines of dashes, then Markdown
(https://huggingface.co/docs/hub/model-cards).
"""

from __future__ import annotations

from collections.abc import Mapping
from types import MappingProxyType
from typing import Final

import yaml

from manifests.markdown import table
from training.footage import Footage
from training.trained_on import TrainedOn

CARD: Final = "README.md"

_HEADER: Final = {
    "license": "other",
    "license_name": "see-licences-below",
    "pipeline_tag": "image-to-video",
    "library_name": "factorportrait",
    "tags": ["portrait-animation", "camera-control", "synthetic-data"],
}

_LOAD: Final = """```python
from training.pipeline import PortraitPipeline

pipeline = PortraitPipeline.from_pretrained("this/folder").to("cuda")
video = pipeline("me.png", "driver.mp4", camera="turntable")
video.save("v.mp4")
```"""

_OTHERS: Final = (
    "Its {} may be others' work, trained on other data, of real people too: their licences and cards apply as well."
)

_USE: Final = """\
For research on the control of portrait video: which of expression, head pose and camera a model follows, and what
synthetic people are worth as training data. It may animate faces that nobody has, and people who agreed to it.

It is not meant to make anybody seem to say or do what they did not, to get past checks of identity, or to tell real
people apart. What it makes is to be shown as what it is: every video that this project writes says in its metadata
that it is synthetic (IPTC digital source type `trainedAlgorithmicMedia`); leave that in place."""

_RENDERED_ALONE: Final = """\
It has seen rendered people alone. Their faces, skins and hair are as a generator draws them, not as people are
distributed, and real faces are outside of what it learnt."""


def model_card(
    data: TrainedOn,
    footage: Footage,
    parameters: int,
    steps: int,
    *,
    untold: tuple[str, ...] = (),
    detector: str | None = None,
    others: Mapping[str, str] = MappingProxyType({}),
) -> str:
    """Text of README.md; ``detector`` is the licence of the landmark detector that goes with the model, ``others`` are
    parts that somebody else may have trained: what for -> which. Names and licences may be a stranger's and are
    escaped."""
    facts = [
        ("transformer", f"{parameters / 1e6:,.1f} million parameters"),
        ("steps of its training", f"{steps:,}"),
        ("videos", f"{footage.frames} frames of {footage.width} x {footage.height} a window, {footage.fps:g} a second"),
        ("head of its normal maps", f"{footage.head} ({footage.head_sha256[:16]})" if footage.head else "unknown"),
        ("conditions it is not told", ", ".join(untold) or "none"),
        ("landmark detector", "none" if detector is None else f"its licence: {detector}"),
        *others.items(),
    ]
    seen = [(name, f"SHA-256 of the configuration {digest}") for name, digest in data.corpora]
    parts = [
        f"---\n{yaml.safe_dump(_HEADER, sort_keys=False)}---",
        "# A portrait, animated",
        "One picture of a face, with the expressions, head poses and camera of others, as a video.",
        _LOAD,
        "Pictures and videos need a landmark detector: one that was exported with the model, or `landmarks=`. "
        "Nothing in this folder is code or is unpickled.",
        table(("what", "value"), facts),
        "## Trained on",
        f"{data.clips:,} clips of {data.people:,} rendered people.\n\n{table(('corpus', 'which'), seen)}"
        if seen
        else "What it was trained on is not recorded.",
        "## Licences",
        "Whoever publishes this model chooses a licence for it within what these allow, and writes it into the header.",
        table(("kind", "name", "version", "licence", "note"), data.assets),
        *([_OTHERS.format(", ".join(others))] if others else []),
        "## Intended use",
        _USE if others else f"{_USE}\n\n{_RENDERED_ALONE}",
    ]
    return "\n\n".join(parts) + "\n"
