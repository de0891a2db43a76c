"""`factorportrait evaluate`: from folders to a folder."""

from __future__ import annotations

import re
from pathlib import Path

from torch import Tensor

from training.animation.beside import beside
from training.animation.shot import AnimationSettings, model_head
from training.device import check_device
from training.evaluation.evaluate import evaluate
from training.evaluation.instruments import Instruments
from training.evaluation.report import JSON, to_markdown, write_evaluation
from training.evaluation.takes import Take, TakeSettings
from training.folder import check_place, replacing_folder
from training.portrait import load_portrait
from training.progress import Show, silent
from training.sheets import as_pictures, video_grid
from training.video_file import PROVENANCE, save_video

_VIDEOS = "videos"


def evaluate_to_folder(
    model: str | Path,
    corpus: str,
    out: str | Path,
    settings: TakeSettings,
    *,
    split: str = "test",
    subset: str | None = None,
    instruments: Instruments | None = None,
    animation: AnimationSettings | None = None,
    progress: Show = silent,
) -> str:
    """Write ``evaluation.json``, ``.md``, ``.html`` and ``videos/`` as folder ``out``, in place of an older evaluation
    once all of it is there; the Markdown. Raises UserError as `evaluate`, for a model that cannot be read, and where
    the place is taken by something else."""
    animation = animation or AnimationSettings()
    check_device(animation.device)
    check_place(out, JSON, "evaluation")
    portrait = load_portrait(model).to(animation.device)
    head, footage = model_head(portrait), portrait.footage
    videos = dict[str, str]()

    def keep(take: Take, video: Tensor) -> None:
        kinds = {"generated": video} if take.truth is None else {"truth": take.truth.video, "generated": video}
        shown = beside(take.shot, head, footage, {kind: as_pictures(each) for kind, each in kinds.items()})
        name = re.sub(r"[^\w.-]+", "_", take.name)
        videos[take.name] = f"{_VIDEOS}/{name}.mp4"
        save_video(folder / videos[take.name], video_grid([shown]), footage.fps, PROVENANCE)

    with replacing_folder(out) as folder:
        found = evaluate(
            portrait, corpus, settings, split=split, subset=subset, instruments=instruments, animation=animation,
            keep=keep, progress=progress,
        )  # fmt: skip
        write_evaluation(found, folder, videos)
    return to_markdown(found)
