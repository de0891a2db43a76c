"""Lips, lids and teeth of the open head stay apart at what the samplers draw; the benchmark counts more of it."""

import numpy as np
import pytest

from benchmarks.faces import EYEBALL_M, LIDS_M, TEETH_M, Clash, Examiner, frames
from datagen.heads.model import HeadModel, load_head


@pytest.fixture(scope="module")
def head() -> HeadModel:
    return load_head("open")


@pytest.fixture(scope="module")
def clash(head: HeadModel) -> Clash:
    examine = Examiner(head)
    found = [examine(motion, shut) for _, motion, shut in frames(head, 300)]
    names = ("lips", "lids", "eyeball", "teeth", "ajar")
    return Clash(*(np.concatenate([getattr(one, name) for one in found]) for name in names))


def test_nothing_passes_through_anything(clash: Clash) -> None:
    assert clash.lips.max() < 0.0006
    assert clash.lids.max() < LIDS_M
    assert np.mean(clash.eyeball > EYEBALL_M) <= 1 / 300
    assert clash.teeth.max() < TEETH_M


def test_shut_lids_leave_no_gap(clash: Clash) -> None:
    assert clash.ajar.max() < LIDS_M


def test_the_sum_of_shares_tells_when_lids_are_shut(head: HeadModel) -> None:
    lids = head.info.lids
    assert lids is not None
    assert len(lids.identity) == head.info.identity_size
    assert len(lids.expression) == head.info.expression_size
    share = dict(zip(head.info.expression_names, lids.expression, strict=True))
    assert share["eyeBlinkLeft"] == share["eyeBlinkRight"] == -1
    assert share["eyeSquintLeft"] < 0 < share["eyeWideLeft"]
    assert share["jawLeft"] == 0
    assert 0.03 < np.linalg.norm(lids.identity) < 0.3
