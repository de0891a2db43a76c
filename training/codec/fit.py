"""Fitting a codec to a corpus, and measuring what it keeps of people it has not seen."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Final

import torch
from torch import Tensor

from manifests.conventions import SPLITS
from manifests.errors import UserError
from training.codec.codec import strided
from training.codec.frames import read_frames, read_windows, spread
from training.codec.load import load_codec
from training.codec.measure import Fidelity, Sheet, measure
from training.codec.patches import fit_patches, save_patches
from training.codec.settings import CodecSettings
from training.data.clips import Clips
from training.device import check_device
from training.folder import check_place
from training.progress import Show, silent
from training.streams import rng

_SHEET_ROWS: Final = 8
_STATISTICS_CLIPS: Final = 64


@dataclass(frozen=True)
class CodecReport:
    """A fitted codec and how good it is."""

    folder: Path
    digest: str
    split: str
    """That it was measured on."""
    fidelity: Fidelity
    sheet: Path
    """A picture: original, reconstruction and error of pictures and normals."""

    def __str__(self) -> str:
        f = self.fidelity
        return (
            f"{self.folder}: PSNR {f.psnr_db:.2f} dB, of the person {f.foreground_psnr_db:.2f} dB, normals off by "
            f"{f.normal_error_deg:.2f} degrees, on {f.windows} windows of split {self.split}; see {self.sheet}"
        )


def fit_codec(
    corpus: str, out: str | Path, settings: CodecSettings | None = None, progress: Show = silent
) -> CodecReport:
    """Fit a codec to split ``train``, write it as the model folder ``out`` and measure it on people it has not seen:
    those of split ``validation``, or ``test`` where there are none.

    The sheet lies beside the folder. Raises UserError for a corpus without such splits, or whose pictures the codec
    cannot take.
    """
    settings = settings or CodecSettings()
    check_place(out)
    check_device(settings.device, "codec.device")
    clips = Clips(corpus, split="train", frames=settings.frames)
    held_out, split = _held_out(corpus, settings)
    if settings.kind == "patches":
        _fit_patches(clips, out, settings, progress)
    else:
        _train_wan(clips, out, settings, progress)
    codec = load_codec(out).to(settings.device)
    sheet, chosen = Sheet(_SHEET_ROWS), spread(len(held_out), settings.test_clips)
    fidelity = measure(codec, read_frames(held_out, chosen, settings.frames), sheet, settings.device)
    picture = Path(out).with_name(f"{Path(out).name}-sheet.png")
    sheet.save(picture)
    return CodecReport(Path(out), codec.digest, split, fidelity, picture)


def _held_out(corpus: str, settings: CodecSettings) -> tuple[Clips, str]:
    problem: UserError | None = None
    for split in SPLITS[1:]:
        try:
            return Clips(corpus, split=split, frames=settings.frames), split
        except UserError as error:
            problem = problem or error
    raise UserError(f"{problem}; a codec is measured on people it was not fitted to") from None


def _fit_patches(clips: Clips, out: str | Path, settings: CodecSettings, progress: Show) -> None:
    strided(settings.patch, *clips.resolution)
    chosen = spread(len(clips), settings.clips)

    def frames() -> Iterator[tuple[Tensor, Tensor]]:
        for done, i in enumerate(chosen):
            progress(done, len(chosen), f"{done} of {len(chosen)} clips")
            for seen in read_frames(clips, [i], settings.frames):
                yield seen.video.transpose(0, 1), seen.pose_normals.transpose(0, 1)

    save_patches(fit_patches(frames(), settings.latent_channels, settings.patch), out)


def _train_wan(clips: Clips, out: str | Path, settings: CodecSettings, progress: Show) -> None:
    from training.codec.wan import save_wan
    from training.codec.wan_training import set_latent_statistics, train_wan

    strided(8, *clips.resolution)
    vae, _ = train_wan(_batches(clips, settings), settings, progress)
    chosen = spread(len(clips), _STATISTICS_CLIPS)
    set_latent_statistics(vae, (frames.video for frames in read_frames(clips, chosen, settings.frames)))
    save_wan(vae.cpu(), out)


def _batches(clips: Clips, settings: CodecSettings) -> Callable[[int], Tensor]:
    """Windows drawn at random for each step, by its number alone."""

    def batch(step: int) -> Tensor:
        draw = rng(settings.seed, "codec", "batch", step)
        videos: list[Tensor] = []
        while len(videos) < settings.batch:
            i = int(draw.integers(len(clips)))
            info = clips.info(i)
            view, start = int(draw.integers(info.views)), int(draw.integers(info.frames - settings.frames + 1))
            (frames,) = read_windows(clips, i, [(view, range(start, start + settings.frames))])
            videos.append(frames.pose_normals if len(videos) < settings.batch // 3 else frames.video)
        return torch.stack(videos)

    return batch
