"""Windows of a corpus for a codec to be fitted to and measured on."""

from __future__ import annotations

from collections.abc import Iterator, Sequence

from training.data.batch import Sample
from training.data.clips import Clips
from training.data.samples import make_sample


def spread(count: int, most: int) -> list[int]:
    """Up to ``most`` of ``count`` numbers, evenly spread, ascending."""
    return [i * count // most for i in range(most)] if most < count else list(range(count))


def read_frames(clips: Clips, chosen: Sequence[int], frames: int) -> Iterator[Sample]:
    """The first ``frames`` frames of every view of the clips chosen."""
    for i in chosen:
        yield from read_windows(clips, i, [(view, range(frames)) for view in range(clips.info(i).views)])


def read_windows(clips: Clips, i: int, wanted: Sequence[tuple[int, range]]) -> Iterator[Sample]:
    """Windows of clip ``i``, each a view and its frames, as a model takes them; the reference is the first frame."""
    for window in clips.windows(i, wanted):
        yield make_sample(window, window)
