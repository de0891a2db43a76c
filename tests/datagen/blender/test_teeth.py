"""Where the teeth lie along the jaws, from which the shader parts them."""

from __future__ import annotations

import numpy as np
import pytest

from datagen.blender.teeth import tooth_places
from tests.datagen.blender.people import person


@pytest.mark.parametrize("identity", [1, 2, 3])
def test_teeth_are_measured_along_the_jaws_and_from_the_biting_edges(identity: int) -> None:
    _, posed = person(identity=identity)
    places, teeth = tooth_places(posed), posed.surface.vertices_of("teeth")
    assert not np.delete(places, teeth, axis=0).any()
    (along, height, upper), rest = places[teeth].T, posed.rest[teeth]
    assert sorted(set(upper.tolist())) == [0.0, 1.0]
    assert rest[upper == 1, 1].mean() > rest[upper == 0, 1].mean()
    for jaw in (0, 1):
        here = upper == jaw
        assert np.corrcoef(along[here], rest[here, 0])[0, 1] > 0.95
        assert 0.05 < along[here].max() < 0.085
        assert -along[here].min() == pytest.approx(along[here].max(), rel=0.03)
        assert height[here].min() == 0
        assert 0.012 < height[here].max() < 0.025
        middle = here & (np.abs(along) < 0.004)
        edge = rest[middle][height[middle] == 0, 1]
        assert np.all(rest[middle, 1] >= edge.min()) if jaw else np.all(rest[middle, 1] <= edge.max())
