"""Windows and references: what can be drawn, how often, and that a seed says which."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable
from pathlib import Path

import pytest

from manifests.errors import UserError
from manifests.layout import Layout
from tests.manifests.rows import clip, write_rows_corpus
from training.data.choice import Choice, ReferenceWeights, check_choices, choose
from training.data.clips import Clips

EVENLY = ReferenceWeights()


def toy(folder: Path, frames: Iterable[int], views: Iterable[int], identities: Iterable[int]) -> Clips:
    sizes = list(zip(frames, views, identities, strict=True))
    layout = Layout("toy", len(sizes), 4)
    same = {"width": 8, "height": 8, "fps": 15.0, "recipe": "studio", "split": "train"}
    rows = {
        i: clip(layout, i, frames=f, views=v, identity=identity, **same) for i, (f, v, identity) in enumerate(sizes)
    }
    return Clips(write_rows_corpus(str(folder), clips=len(sizes), change=rows).url)


@pytest.fixture
def rich(tmp_path: Path) -> Clips:
    """Two people of three clips each: 9 frames, 3 views."""
    return toy(tmp_path / "rich", [9] * 6, [3] * 6, [0, 1, 0, 1, 0, 1])


def kind(choice: Choice) -> str:
    if choice.reference_clip != choice.clip:
        return "clip"
    return "frame" if choice.reference_view == choice.view else "view"


def test_all_that_fits_is_drawn_and_nothing_else(rich: Clips) -> None:
    found = [choose(rich, 2, 4, 2, EVENLY, 5, epoch) for epoch in range(600)]
    assert {choice.view for choice in found} == {0, 1, 2}
    assert {choice.frames for choice in found} == {range(start, start + 7, 2) for start in range(3)}
    assert all(len(choice.frames) == 4 for choice in found)
    of_frame = [choice for choice in found if kind(choice) == "frame"]
    assert all(choice.reference_frame not in choice.frames for choice in of_frame)
    assert {choice.reference_frame for choice in of_frame if choice.frames.start == 1} == {0, 2, 4, 6, 8}
    of_view = [choice for choice in found if kind(choice) == "view"]
    assert {(choice.view, choice.reference_view) for choice in of_view} == {
        (a, b) for a in range(3) for b in range(3) if a != b
    }
    assert {choice.reference_frame for choice in of_view} == set(range(9))
    of_clip = [choice for choice in found if kind(choice) == "clip"]
    assert {choice.reference_clip for choice in of_clip} == {0, 4}
    assert {choice.reference_view for choice in of_clip} == {0, 1, 2}
    assert {choice.reference_frame for choice in of_clip} == set(range(9))


def test_kinds_come_by_weight(rich: Clips) -> None:
    weights = ReferenceWeights(frame=1, view=2, clip=5)
    count = Counter(kind(choose(rich, 0, 4, 1, weights, 5, epoch)) for epoch in range(2000))
    assert count["frame"] == pytest.approx(250, abs=60)  # four deviations
    assert count["view"] == pytest.approx(500, abs=80)
    assert count["clip"] == pytest.approx(1250, abs=90)


@pytest.mark.parametrize(
    ("frames", "views", "identities", "expected"),
    [
        ([5, 5], [2, 2], [0, 0], {"view", "clip"}),
        ([6, 6], [1, 1], [0, 1], {"frame"}),
        ([5, 5], [1, 1], [0, 0], {"clip"}),
        ([6, 6], [3, 3], [0, 1], {"frame", "view"}),
    ],
)
def test_kinds_that_a_clip_cannot_give_fall_away(
    tmp_path: Path, frames: list[int], views: list[int], identities: list[int], expected: set[str]
) -> None:
    clips = toy(tmp_path / "out", frames, views, identities)
    check_choices(clips, 5, 1, EVENLY)
    assert {kind(choose(clips, 1, 5, 1, EVENLY, 0, epoch)) for epoch in range(60)} == expected


def test_a_draw_follows_from_seed_clip_and_words(rich: Clips, tmp_path: Path) -> None:
    first = choose(rich, 3, 4, 1, EVENLY, 5, 0)
    assert choose(rich, 3, 4, 1, EVENLY, 5, 0) == first
    others = [choose(rich, 3, 4, 1, EVENLY, seed, word) for seed in (5, 6) for word in (0, 1, 2, "validation")]
    assert len({str(choice) for choice in others}) > 4
    grown = toy(tmp_path / "grown", [9] * 7, [3] * 7, [0, 1, 0, 1, 0, 1, 7])
    assert choose(grown, 3, 4, 1, EVENLY, 5, 0) == first


def test_what_no_clip_can_give_is_said_before_training(tmp_path: Path) -> None:
    clips = toy(tmp_path / "out", [9, 5], [2, 1], [0, 1])
    check_choices(clips, 4, 1, EVENLY)
    with pytest.raises(UserError, match=r"toy-000000001 gives none .*\(frame, view, clip\): it has 5 frames"):
        check_choices(clips, 5, 1, EVENLY)
    with pytest.raises(UserError, match=r"toy-000000001 gives none .*its person 1 clips"):
        choose(clips, 1, 5, 1, EVENLY, 0)
    with pytest.raises(UserError, match=r"\(clip\)"):
        check_choices(clips, 4, 1, ReferenceWeights(frame=0, view=0))
    with pytest.raises(UserError, match=r"span 7, but 1 of 2 clips are shorter, the first toy-000000001 with 5"):
        check_choices(clips, 4, 2, EVENLY)
    with pytest.raises(UserError, match="has 5 frames, a window spans 7"):
        choose(clips, 1, 4, 2, EVENLY, 0)
    with pytest.raises(UserError, match="frames: 0 with a step of 1"):
        check_choices(clips, 0, 1, EVENLY)


@pytest.mark.parametrize("weights", [{"frame": -1}, {"view": float("nan")}, {"clip": float("inf")}])
def test_weights_are_checked(weights: dict[str, float]) -> None:
    with pytest.raises(UserError, match=f"references.{next(iter(weights))}: weight"):
        ReferenceWeights(**weights)


def test_a_weight_is_needed() -> None:
    with pytest.raises(UserError, match="all weights are 0"):
        ReferenceWeights(0, 0, 0)
