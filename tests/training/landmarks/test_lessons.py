"""What a detector is shown is what it is told: points move with pictures, and where nothing is, nothing is said."""

from __future__ import annotations

import pytest
import torch

from tests.conftest import Generated
from training.data.clips import Clips
from training.expression.targets import MIRRORED
from training.landmarks.lessons import draw_batch, measure
from training.landmarks.network import LandmarkNetwork, Told
from training.landmarks.portraits import MARGIN, SIZE, Portraits, cut_out, read_portraits, square, turned_back
from training.streams import torch_generator


def dots(count: int = 64) -> Portraits:
    """Faces of 70 bright dots of their own places, so that each can be found again; left and right are told apart by
    colour."""
    generator = torch.Generator().manual_seed(0)
    edge = SIZE / MARGIN
    other = dict(MIRRORED)
    row = torch.tensor([min(i, other[i]) // 8 for i in range(70)])
    column = torch.tensor([min(i, other[i]) % 8 for i in range(70)])
    side = torch.tensor([0.0 if other[i] == i else 1.0 if i < other[i] else -1.0 for i in range(70)])
    x = SIZE / 2 + side * (column + 1) * edge / 18
    y = SIZE / 2 + (row - 4) * edge / 10
    points = (torch.stack([x, y], dim=1) * 2 / SIZE - 1).expand(count, 70, 2).clone()
    visible = torch.rand(count, 70, generator=generator) < 0.5
    pictures = torch.zeros(count, 3, SIZE, SIZE, dtype=torch.uint8)
    alpha = torch.zeros(count, 1, SIZE, SIZE, dtype=torch.uint8)
    return Portraits(pictures, alpha, points, visible)


def test_portraits_hold_what_the_corpus_says(corpus: Generated) -> None:
    portraits = read_portraits(str(corpus.out), "train", 1000)
    clips = Clips(str(corpus.out), split="train")
    assert len(portraits) == int((clips.frames * clips.views).sum())
    low, high = portraits.points.amin(dim=1), portraits.points.amax(dim=1)
    assert torch.allclose((high - low).amax(dim=1), torch.full((len(portraits),), 2 / MARGIN), atol=1e-4)
    (window,) = clips.windows(0, [(0, range(1))])
    assert torch.equal(portraits.visible[0], torch.from_numpy(window.visible[0]))
    person = portraits.alpha.float().mean(dim=(1, 2, 3))
    assert (person > 40).all()
    few = read_portraits(str(corpus.out), "train", int(clips.views.sum()))
    assert len(few) == int(clips.views.sum())


def test_a_square_is_found_again() -> None:
    """A bright dot of a picture lies in the cut-out where `turned_back` says."""
    picture = torch.zeros(1, 1, 60, 80)
    picture[0, 0, 20, 50] = 1
    centre, edge, turn = torch.tensor([[45.0, 25.0]]), torch.tensor([40.0]), torch.tensor([0.4])
    cut = cut_out(picture, centre, edge, turn, 40)[0, 0]
    at = (cut == cut.max()).nonzero()[0].flip(0).float()
    found = turned_back((at[None, None] + 0.5) / 20 - 1, centre, edge, turn)[0, 0]
    assert (found - torch.tensor([50.5, 20.5])).norm() < 1
    centre, edge = square(torch.tensor([[[2.0, 3.0], [6.0, 5.0]]]))
    assert torch.equal(centre, torch.tensor([[4.0, 4.0]]))
    assert edge.tolist() == [4]


def test_points_go_with_their_picture() -> None:
    """Each portrait has one white pixel, at one landmark; in the batch the brightest place is at that landmark."""
    portraits = dots()
    for k in range(len(portraits)):
        x, y = ((portraits.points[k, k] + 1) * SIZE / 2).long().tolist()
        portraits.pictures[k, :, y - 1 : y + 2, x - 1 : x + 2] = 255
        portraits.alpha[k, :, y - 1 : y + 2, x - 1 : x + 2] = 255
    hits = seen = 0
    for draw in range(8):
        batch = draw_batch(portraits, 64, 64, torch_generator(draw, "test"))
        brightest = batch.pictures.mean(dim=1).flatten(1).argmax(dim=1)
        at = torch.stack([brightest % 64, brightest // 64], dim=1) / 32.0 - 1 + 1 / 64
        nearest = (batch.points - at[:, None]).norm(dim=-1).amin(dim=1)
        dark = batch.pictures.mean(dim=1).amin(dim=(1, 2)) < -0.5
        seen += int((batch.face & dark).sum())
        hits += int((batch.face & dark & (nearest < 0.1)).sum())
    assert seen > 100
    assert hits > 0.6 * seen  # others are before brighter grounds, or covered


def test_half_the_faces_are_mirrored_and_some_pictures_show_none() -> None:
    portraits = dots()
    portraits.visible[:] = False
    portraits.visible[:, :8] = True  # of the contour's right half
    batch = draw_batch(portraits, 400, 32, torch_generator(1, "test"))
    mirrored = batch.visible[:, 9:17].any(dim=1)
    kept = batch.visible[:, :8].any(dim=1)
    assert not (mirrored & kept).any()
    assert 0.3 < float(mirrored[batch.face].float().mean()) < 0.7
    assert 0.1 < float((~batch.face).float().mean()) < 0.3
    inside = (batch.points.abs() <= 1).all(dim=-1)
    assert float(inside[batch.face].float().mean()) > 0.9
    assert float(inside[~batch.face].float().mean()) < 0.3
    assert not (batch.visible & ~inside).any()
    assert batch.pictures.abs().max() <= 1
    again = draw_batch(portraits, 400, 32, torch_generator(1, "test"))
    assert torch.equal(again.pictures, batch.pictures)


def test_the_loss_is_least_for_the_truth_and_hears_nothing_of_pictures_without_a_face() -> None:
    batch = draw_batch(dots(), 32, 32, torch_generator(2, "test"))
    sure = torch.where(batch.visible, 20.0, -20.0)
    face = torch.where(batch.face, 20.0, -20.0)
    heat = torch.full((32, 70), 0.08**2)
    truth = measure(Told(batch.points, heat, sure, face), batch)
    assert float(truth.total) == pytest.approx(0, abs=1e-5)
    assert float(truth.error) == 0
    off = batch.points + 0.1 * batch.face[:, None, None]
    assert float(measure(Told(off, heat, sure, face), batch).error) == pytest.approx(0.1 * 2**0.5 / 2, rel=1e-4)
    elsewhere = batch.points + (~batch.face)[:, None, None]
    unheard = measure(Told(elsewhere, heat, torch.where(batch.face[:, None], sure, -sure), face), batch)
    assert float(unheard.total) == pytest.approx(0, abs=1e-5)
    assert float(measure(Told(batch.points, heat, sure, -face), batch).total) > 1


def test_the_mean_of_a_heat_map_falls_between_cells() -> None:
    network = LandmarkNetwork(8)
    told = network(torch.zeros(2, 3, 32, 32))
    assert told.points.shape == (2, 70, 2)
    assert told.points.abs().max() < 1
    assert (told.spread > 0).all()
    assert told.visible.shape == (2, 70)
    assert told.found.shape == (2,)
