"""Galleries on the old side, ready to be backfilled."""

from collections.abc import Iterator
from pathlib import Path

import pytest

from crossfade.gallery import Gallery, open_gallery
from crossfade.testing import FakeEncoder, World, encoder_of, fill, make_upgrade, make_world
from crossfade.upgrade import Side


@pytest.fixture(scope="session")
def world() -> World:
    return make_world(items=120, queries=4)


@pytest.fixture(params=["memory", "qdrant"])
def uri(request: pytest.FixtureRequest, tmp_path: Path) -> str:
    return f"{request.param}://{tmp_path}/gallery"


@pytest.fixture
def gallery(uri: str, world: World) -> Iterator[Gallery]:
    with open_gallery(uri, make_upgrade(Side.ITEMS)) as gallery:
        fill(gallery, world)
        yield gallery


@pytest.fixture
def encoder(world: World) -> FakeEncoder:
    return encoder_of(world)
