"""Every clip gets another one's conditions, and different ones where there are any."""

from __future__ import annotations

import dataclasses

import numpy as np
import pytest

from datagen.heads.model import rotation_matrices
from manifests.errors import UserError
from tests.conftest import Generated
from training.cases import Case, CaseSettings, make_cases
from training.data.clips import Clips
from training.partners import choose_partners, derangement


@pytest.fixture(scope="module")
def cases(corpus: Generated) -> list[Case]:
    return make_cases(Clips(str(corpus.out), split=None, frames=5, views=2), CaseSettings(clips=2, frames=5))


@pytest.mark.parametrize("count", [2, 3, 7, 50])
def test_a_derangement_has_no_fixed_point(count: int) -> None:
    for seed in range(20):
        partners = derangement(np.zeros((count, count), int), seed)
        assert sorted(partners) == list(range(count))
        assert (partners != np.arange(count)).all()
    assert np.array_equal(partners, derangement(np.zeros((count, count), int), seed))
    if count > 3:
        assert not np.array_equal(partners, derangement(np.zeros((count, count), int), seed + 1))


def test_a_derangement_avoids_what_is_alike() -> None:
    group = np.repeat(np.arange(5), 4)
    alike = (group[:, None] == group).astype(int)
    for seed in range(20):
        assert (group[derangement(alike, seed)] != group).all()
    most = np.array([0] * 15 + [1] * 5)
    partners = derangement((most[:, None] == most).astype(int))
    assert (partners != np.arange(20)).all()
    assert (most[partners] != most).sum() == 10


def test_partners_differ_where_they_can(cases: list[Case]) -> None:
    first, second = cases[0], cases[1]
    turned = first.motion.neck + np.float32([0, 0.6, 0])
    assert np.trace(rotation_matrices(turned)[0]) < np.trace(rotation_matrices(first.motion.neck)[0])
    group = [0, 0, 0, 1, 1, 1]
    made = [
        first if g == 0 else dataclasses.replace(second, motion=dataclasses.replace(second.motion, neck=turned))
        for g in group
    ]
    for seed in range(5):
        assert all(group[partner] != group[i] for i, partner in enumerate(choose_partners(made, seed)))


def test_one_alone_has_no_partner(cases: list[Case]) -> None:
    for count in (0, 1):
        with pytest.raises(UserError, match=f"{count} clips given"):
            choose_partners(cases[:count])
