"""A head cache of its own for these tests, so that they build with the code they test."""

from __future__ import annotations

from collections.abc import Iterator

import pytest

from datagen.heads import HeadModel, load_head
from datagen.heads.figure import Figure, build_figure


@pytest.fixture(scope="package", autouse=True)
def cache(tmp_path_factory: pytest.TempPathFactory) -> Iterator[str]:
    folder = str(tmp_path_factory.mktemp("cache"))
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("FACTORPORTRAIT_CACHE", folder)
        yield folder


@pytest.fixture(scope="package")
def figure() -> Figure:
    return build_figure()


@pytest.fixture(scope="package")
def head(cache: str) -> HeadModel:
    return load_head("open")


@pytest.fixture(scope="package")
def body(cache: str) -> HeadModel:
    return load_head("open-body")
