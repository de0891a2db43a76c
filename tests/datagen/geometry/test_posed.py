import numpy as np

from datagen.geometry.posed import rigid_fit
from datagen.heads.model import rotation_matrices


def test_rigid_fit_recovers_a_motion() -> None:
    rng = np.random.default_rng(0)
    source = rng.normal(size=(40, 3))
    rotation, shift = rotation_matrices(rng.normal(size=(6, 3))), rng.normal(size=(6, 1, 3))
    target = source @ np.swapaxes(rotation, 1, 2) + shift
    found = rigid_fit(source, target)
    assert np.allclose(found[:, :3, :3], rotation)
    assert np.allclose(found[:, :3, 3], shift[:, 0])


def test_rigid_fit_never_mirrors() -> None:
    rng = np.random.default_rng(1)
    source = rng.normal(size=(40, 3))
    found = rigid_fit(source, (source * [-1, 1, 1])[None])
    assert np.isclose(np.linalg.det(found[0, :3, :3]), 1)
