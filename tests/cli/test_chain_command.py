"""The next upgrade begun before the one under way is over, by commands."""

import json
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from crossfade import Pairs, Space
from crossfade.stores import Draft, open_store
from crossfade.testing import make_world

ITEMS = 120
MODULE = f"""
import numpy as np
from crossfade.embeddings import normalise
from crossfade.testing import make_world
WORLD = make_world(items={ITEMS}, queries=4)
TURN = np.random.default_rng(5).normal(size=(20, 16))
def second(items):
    return WORLD.gallery.new[[item.payload["row"] for item in items]]
def third(items):
    return normalise(np.tanh(second(items) @ TURN))
"""
URI = "qdrant://gallery"


@pytest.fixture
def folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, run: Any) -> Path:
    monkeypatch.chdir(tmp_path)
    monkeypatch.syspath_prepend(tmp_path)
    (tmp_path / "chain_models.py").write_text(MODULE)
    world = make_world(items=ITEMS, queries=4)
    v1, v2 = world.gallery.old, world.gallery.new
    v3 = np.tanh(v2 @ np.random.default_rng(5).normal(size=(20, 16)))
    views = {"v1": v1, "v2": v2, "v3": v3}
    for old, new in (("v1", "v2"), ("v2", "v3"), ("v1", "v3")):
        pairs = Pairs.of(range(ITEMS), views[old], views[new])
        pairs.save(tmp_path / f"{old}-{new}.npz")
        fitted = run(
            *("fit", f"{old}-{new}.npz", "--out", f"{old}-{new}", "--method", "forward_ridge"),
            *("--old-name", old, "--new-name", new),
        )
        assert fitted.code == 0, (fitted.out, fitted.err)
    with open_store(URI) as store:
        store.ensure_space(Space("v1", v1.shape[1]))
        store.put([Draft(row, {"v1": v1[row]}, {"row": row}) for row in range(ITEMS)])
    np.savez(tmp_path / "q.npz", new=v3[:4], old=v2[:4])
    return tmp_path


def test_a_chain_is_made_started_backfilled_rolled_back_and_finished(
    folder: Path, run: Any
) -> None:
    def typed(*arguments: str, code: int = 0) -> str:
        done = run(*arguments)
        assert done.code == code, done.err
        return str(done.out if code == 0 else done.err)

    start = ("start", URI, "--upgrade", "chained", "--encoder", "chain_models:third", "--yes")
    typed("start", URI, "--upgrade", "v1-v2", "--encoder", "chain_models:second", "--yes")
    typed("backfill", URI, "--max-items", "50")
    refused = typed("chain", "v1-v2", "v1-v3", "v1-v3", "--out", "chained", code=2)
    assert "the next one begins in 'v1'" in refused and not (folder / "chained").exists()
    made = json.loads(typed("chain", "v1-v2", "v2-v3", "v1-v3", "--out", "chained", "--json"))
    assert made["models"] == ["v1", "v2", "v3"]
    assert "finish or roll back that one first" in typed(
        *("start", URI, "--upgrade", "v2-v3", "--encoder", "chain_models:third", "--yes"), code=2
    )
    ask = ("search", URI, "--queries", "q.npz", "-k", "5", "--mode", "old")
    typed(*start)
    before = typed(*ask)
    assert "complete" in typed("backfill", URI) and typed(*ask) == before
    assert "started" in typed("rollback", URI, "--yes")
    assert json.loads(typed("status", URI, "--json"))["old_model"] == "v1"
    typed(*start)
    typed("backfill", URI)
    assert "finished" in typed("finish", URI, "--yes")
    moves = [one["move"] for one in json.loads(typed("audit", URI, "--json"))["entries"]]
    assert moves.count("supersede") == 2 and moves.count("returned") == 1
    with open_store(URI) as store:
        assert list(store.spaces()) == ["v3"] and store.count(has="v3") == ITEMS
