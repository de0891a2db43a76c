"""What a trained model does on people it has not seen: figures and a sheet of swap tests."""

from __future__ import annotations

from pathlib import Path

import torch
from torch import Tensor

from training.cases import CaseSettings, make_cases
from training.codec.codec import slots
from training.data.batch import Sample
from training.data.choice import window_span
from training.data.clips import Clips
from training.device import check_device
from training.portrait import load_portrait
from training.progress import Show, silent
from training.sheets import case_sheet, case_videos
from training.swap_report import SwapReport
from training.swaps import make_trials, measure_swaps, predictions


def report_swaps(
    model: str | Path,
    corpus: str,
    out: str | Path,
    *,
    split: str = "test",
    subset: str | None = None,
    clips: int = 48,
    frames: int | None = None,
    step: int | None = None,
    shown: int = 8,
    seed: int = 0,
    device: str = "cpu",
    progress: Show = silent,
) -> SwapReport:
    """Write ``swaps.md``, ``swaps.json`` and ``swaps.png`` into folder ``out``.

    Windows have ``frames`` frames, each ``step`` behind the last, by default as the model was trained; ``subset`` is a
    list of clips that ``factorportrait select`` wrote. Raises UserError for a model or corpus that cannot be read, a
    split of fewer than two clips, and a device that is not here.
    """
    check_device(device)
    portrait = load_portrait(model).to(device)
    frames = portrait.footage.frames if frames is None else frames
    step = portrait.footage.step if step is None else step
    settings = CaseSettings(clips=clips, frames=frames, step=step, seed=seed)
    slots(portrait.encode.codec, frames)
    chosen = Clips(corpus, split=split, subset=subset, frames=window_span(frames, step))
    trials = make_trials(make_cases(chosen, settings), seed)
    forwards = 0

    def predict(sample: Sample, driver: Sample) -> Tensor:
        nonlocal forwards
        forwards += 1
        progress(forwards, total, f"predicting, {forwards} of {total} batches")
        with torch.autocast(torch.device(device).type, torch.bfloat16, enabled=device != "cpu"):
            return portrait.predict(sample, driver, seed=seed)

    total = (-(-len(trials) // _BATCH) + -(-min(shown, len(trials)) // _BATCH)) * len(trials[0].given)
    report = measure_swaps(predict, trials, _BATCH, device, seed)
    out = Path(out)
    out.mkdir(parents=True, exist_ok=True)
    (out / "swaps.md").write_text(report.to_markdown())
    (out / "swaps.json").write_text(report.to_json())
    sheet = [
        case_videos(trial, {name: video[k].cpu() for name, video in videos.items()})
        for some, _, videos in predictions(predict, trials[:shown], _BATCH, device)
        for k, trial in enumerate(some)
    ]
    case_sheet(sheet).save(out / "swaps.png")
    return report


_BATCH = 8
