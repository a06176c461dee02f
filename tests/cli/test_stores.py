"""`crossfade stores`."""

import json
from importlib.util import find_spec
from typing import Any

import pytest

from crossfade.stores import known_schemes, listing


def test_the_table_names_every_store(run: Any) -> None:
    done = run("stores")
    assert done.code == 0
    assert all(f"{scheme}://" in done.out for scheme in known_schemes())


def test_json_has_all_capabilities(run: Any) -> None:
    listed = json.loads(run("stores", "--json").out)["stores"]
    by_scheme = {scheme: store for store in listed for scheme in store["schemes"]}
    assert sorted(by_scheme) == known_schemes()
    assert by_scheme["memory"]["install"] is None
    assert by_scheme["memory"]["capabilities"]["persistent"] is False
    assert by_scheme["qdrant+https"]["capabilities"]["conditional_write"] == "the store itself"


def test_what_is_missing_comes_with_its_pip_line(run: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(
        listing, "find_spec", lambda name: None if name == "faiss" else find_spec(name)
    )
    listed = json.loads(run("stores", "--json").out)["stores"]
    (missing,) = [store for store in listed if not store["installed"]]
    assert missing["install"] == 'pip install "crossfade[faiss]"'
    assert 'faiss:// needs: pip install "crossfade[faiss]"\n' in run("stores").out
