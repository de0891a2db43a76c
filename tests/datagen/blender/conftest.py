"""One renderer for all tests: what a worker has."""

from __future__ import annotations

import pytest

from datagen.blender.renderer import ClipRenderer
from manifests.clip import RenderSettings

SETTINGS = RenderSettings(samples=4, max_bounces=2)


@pytest.fixture(scope="package")
def renderer() -> ClipRenderer:
    return ClipRenderer(SETTINGS)
