"""Galleries over every store."""

from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from crossfade.gallery import Gallery, open_gallery
from crossfade.testing import World, make_world
from crossfade.upgrade import Upgrade

Opener = Callable[[Upgrade], Gallery]


@pytest.fixture(scope="session")
def world() -> World:
    return make_world(items=240, queries=5)


@pytest.fixture(params=["memory", "qdrant"])
def uri(request: pytest.FixtureRequest, tmp_path: Path) -> str:
    return f"{request.param}://{tmp_path}/gallery"


@pytest.fixture
def opened(uri: str) -> Iterator[Opener]:
    """Opens the test's gallery; an earlier one is closed first."""
    galleries: list[Gallery] = []

    def open_with(upgrade: Upgrade) -> Gallery:
        for gallery in galleries:
            gallery.close()
        galleries.append(open_gallery(uri, upgrade))
        return galleries[-1]

    yield open_with
    for gallery in galleries:
        gallery.close()
