"""A collection as an old system left it, an upgrade folder, and an encoder module."""

import sys
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from crossfade.operations import StartRequest
from crossfade.stores import Draft, open_store
from crossfade.testing import World, make_upgrade, make_world
from crossfade.upgrade import Side, Upgrade

ITEMS = 60

MODULE = """
import os, time
import numpy as np
from crossfade.testing import make_world

WORLD = make_world(items={items}, queries=4)

def embed(items):
    time.sleep(float(os.environ.get("LATENCY", "0")))
    return WORLD.gallery.new[[item.payload["row"] for item in items]]

def picky(items):
    if any(item.id in (5, 7) for item in items):
        raise ValueError("can't read this one")
    return embed(items)

def broken(items):
    raise ValueError("no such file")

def narrow(items):
    return np.ones((len(items), 3))

embed.name = picky.name = "the new model"
other = lambda items: embed(items)
other.name = "another model"
"""


@dataclass(frozen=True)
class Site:
    """Everything that a user has before an upgrade."""

    uri: str
    folder: Path
    world: World
    upgrade: Upgrade

    def request(self, **changes: Any) -> StartRequest:
        wanted = {"encoder": "lifecycle_models:embed", "seed": 3} | changes
        return StartRequest(self.uri, self.folder / "upgrade", **wanted)

    def old_answers(self) -> list[list[tuple[Any, float]]]:
        """Of the old system itself: the store, searched in the old space."""
        with open_store(self.uri) as store:
            found = store.search("old", self.world.queries.old, 20)
        return [[(match.id, match.score) for match in matches] for matches in found]


@pytest.fixture(scope="session")
def world() -> World:
    return make_world(items=ITEMS, queries=4)


@pytest.fixture
def models(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Path]:
    """The module ``lifecycle_models`` in the working directory."""
    (tmp_path / "lifecycle_models.py").write_text(MODULE.format(items=ITEMS))
    monkeypatch.chdir(tmp_path)
    monkeypatch.syspath_prepend(str(tmp_path))
    yield tmp_path
    sys.modules.pop("lifecycle_models", None)


Build = Callable[[str], Site]


@pytest.fixture
def build(models: Path, world: World) -> Build:
    """Fills the collection at a URI with old vectors."""

    def build_at(uri: str) -> Site:
        upgrade = make_upgrade(Side.ITEMS, reference_old=world.gallery.old[:20])
        upgrade.save(models / "upgrade")
        with open_store(uri) as store:
            store.ensure_space(upgrade.source)
            old = np.asarray(world.gallery.old)
            store.put([Draft(row, {"old": old[row]}, {"row": row}) for row in range(ITEMS)])
        return Site(uri, models, world, upgrade)

    return build_at


@pytest.fixture(params=["memory", "qdrant"])
def site(request: pytest.FixtureRequest, build: Build, tmp_path: Path) -> Site:
    return build(f"{request.param}://{tmp_path}/gallery")
