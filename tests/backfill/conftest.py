"""Galleries on the old side, ready to be backfilled."""

from collections.abc import Iterator
from pathlib import Path

import pytest

from crossfade.embeddings import FloatArray
from crossfade.gallery import Gallery, open_gallery
from crossfade.stores import Item
from crossfade.testing import FakeEncoder, World, make_upgrade, make_world
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


def fill(gallery: Gallery, world: World) -> None:
    """All items on the old side; payloads say which row of the world they are."""
    rows = [{"row": row} for row in range(len(world.gallery))]
    gallery.upsert(world.gallery.ids, old=world.gallery.old, payload=rows)


@pytest.fixture
def encoder(world: World) -> FakeEncoder:
    def embed(item: Item) -> FloatArray:
        return world.gallery.new[item.payload["row"]]

    return FakeEncoder(embed)
