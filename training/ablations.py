"""What each part of the method brings: the same training without it, and one table of what that does."""

from __future__ import annotations

import dataclasses
import json
from collections.abc import Callable, Mapping, Sequence
from contextlib import AbstractContextManager, nullcontext
from dataclasses import dataclass
from hashlib import sha256
from pathlib import Path
from typing import Any, Final

from manifests.errors import UserError, require
from manifests.reader import CorpusReader
from training.codec.load import load_codec
from training.expression.load import load_encoder
from training.expression.points import fit_points
from training.fit import fit
from training.folder import CONFIG, read_config, replacing_file
from training.portrait import RECORD
from training.progress import Show, silent
from training.report import report_swaps

FULL: Final = "full"
ABLATIONS: Final = {
    FULL: "everything",
    "without-dynamic-sweep": "no clip in which camera and face both move",
    "without-normals": "no normal maps",
    "landmarks": "landmarks in place of the learnt expression code",
}
"""Each but the first by its file in ``training/configs/ablations``."""

_COLUMNS: Final = {
    "psnr/foreground": "person",
    "psnr/mouth_eyes": "mouth and eyes",
    "drop/rays/foreground": "rays",
    "drop/camera/foreground": "camera",
    "drop/head_pose/foreground": "head pose",
    "drop/expression/mouth_eyes": "expression, mouth and eyes",
}
_RESULTS: Final = "results"
_SETTINGS: Final = "settings.json"
_PLACES: Final = ("--data.latents", "--data.workers")
"""Options of `fit` that change no result."""
_FOLDER: Final = Path(__file__).parent / "configs" / "ablations"


@dataclass(frozen=True)
class Row:
    """One training."""

    name: str
    steps: int
    """Of the training."""
    clips: int
    """That it was measured on."""
    scalars: dict[str, float]
    """`SwapReport.scalars`."""


def ablate(
    config: str | Path,
    corpus: str,
    codec: str,
    expression: str,
    out: str | Path,
    *,
    only: Sequence[str] = tuple(ABLATIONS),
    overrides: Sequence[str] = (),
    split: str = "test",
    clips: int = 48,
    device: str = "cpu",
    show: Callable[[], AbstractContextManager[Show]] = lambda: nullcontext(silent),
) -> list[Row]:
    """Train each of ``only`` by ``config`` and what its own file changes, and run the swap tests of `report_swaps` on
    it; write ``ablations.md`` and ``.json`` into ``out``, beside rows that are there. ``overrides`` are more words for
    `fit`, the same for all; ``show`` shows how far all but `fit` is, which shows itself.

    What is trained already is not trained again, and one that was stopped goes on. Raises UserError for a name that is
    none, where ``out`` holds trainings of other settings, and as `fit` and `report_swaps`.
    """
    out, table = Path(out), "ablations.json"
    require(bool(only), "only", list(only), f"one or more of {', '.join(ABLATIONS)}")
    for name in only:
        if name not in ABLATIONS:
            raise UserError(f"ablation {name!r}: is none; choose {', '.join(ABLATIONS)}")
    rows = _read(out, table) if (out / table).is_file() else {}
    _check_settings(out, {
        "config": _digest(config),
        "corpus": [source.corpus.config_hash for source in CorpusReader(corpus).sources],
        "codec": load_codec(codec).digest,
        "expression": load_encoder(expression).digest,
        "overrides": _telling(overrides),
        "split": split,
        "clips": clips,
    })  # fmt: skip
    for name in only:
        encoder = expression
        if name == "landmarks":
            encoder = str(out / "expression-landmarks")
            if not (out / "expression-landmarks" / CONFIG).is_file():
                with show() as progress:
                    fit_points(corpus, encoder, load_encoder(expression).code_size, progress=progress)
        run = out / name
        if not (run / "model" / RECORD).is_file():
            fit(_words(config, name, run, corpus, codec, encoder, overrides))
        with show() as progress:
            report = report_swaps(
                run / "model", corpus, run / "report", split=split, clips=clips, device=device, progress=progress
            )
        steps = read_config(run / "model", RECORD).get("training_steps", 0)
        rows[name] = Row(name, steps, len(report.keys), report.scalars())
        made = [rows[known] for known in ABLATIONS if known in rows]
        (out / "ablations.md").write_text(to_markdown(made))
        (out / table).write_text(json.dumps({row.name: dataclasses.asdict(row) for row in made}, indent=2) + "\n")
    return made


def to_markdown(rows: Sequence[Row]) -> str:
    """PSNR, and what another clip's conditions cost, in dB."""
    lines = [
        "PSNR in dB of unseen people, and by how much another clip's rays, camera, head pose or expression lower it.",
        "",
        f"| training | steps | clips | {' | '.join(_COLUMNS.values())} |",
        "| --- | --- | --- |" + " --- |" * len(_COLUMNS),
    ]
    for row in rows:
        cells = (f"{row.scalars[name]:.2f}" if name in row.scalars else "" for name in _COLUMNS)
        lines.append(f"| {ABLATIONS[row.name]} | {row.steps:,} | {row.clips} | {' | '.join(cells)} |")
    return "\n".join(lines) + "\n"


def _check_settings(out: Path, settings: dict[str, Any]) -> None:
    """Note them in ``out``. Raises UserError where those noted there are others: rows of one table compare."""
    file = out / _SETTINGS
    if file.is_file():
        noted = read_config(out, _SETTINGS, _RESULTS)
        for name, value in settings.items():
            if noted.get(name) != value:
                raise UserError(
                    f"{out}: its trainings have {name} {str(noted.get(name))[:80]}, {str(value)[:80]} given; name "
                    "another folder, or give the same"
                )
    with replacing_file(file, "ablations") as beside:
        beside.write_text(json.dumps(settings, indent=2) + "\n")


def _telling(words: Sequence[str]) -> list[str]:
    """Those of words for `fit`, ``--name value`` or ``--name=value``, that a result follows from."""
    told, tells = [], True
    for word in words:
        if word.startswith("--"):
            tells = word.partition("=")[0] not in _PLACES
        if tells:
            told.append(word)
    return told


def _read(out: Path, table: str) -> dict[str, Row]:
    """Raises UserError for a file that is damaged."""
    try:
        return {name: _row(**fields) for name, fields in read_config(out, table, _RESULTS).items()}
    except (TypeError, ValueError, AttributeError):
        raise UserError(
            f"{out / table}: holds no rows of trainings; move it away to have them measured again"
        ) from None


def _row(name: str, steps: int, clips: int, scalars: Mapping[str, float]) -> Row:
    return Row(name, int(steps), int(clips), {key: float(value) for key, value in scalars.items()})


def _digest(config: str | Path) -> str:
    """Raises UserError where it cannot be read."""
    try:
        return sha256(Path(config).read_bytes()).hexdigest()
    except OSError as error:
        raise UserError(f"config {config}: cannot be read ({error.strerror}); name one that is there") from None


def _words(
    config: str | Path, name: str, run: Path, corpus: str, codec: str, encoder: str, overrides: Sequence[str]
) -> list[str]:
    """For `fit`; later ones hold against earlier ones."""
    own = [] if name == FULL else ["--config", str(_FOLDER / f"{name}.yaml")]
    last = run / "checkpoints" / "last.ckpt"
    return [
        "--config", str(config), *own, "--out", str(run), "--data.corpus", corpus, "--model.codec", codec,
        "--model.expression", encoder, *(["--resume", str(last)] if last.exists() else []), *overrides,
    ]  # fmt: skip
