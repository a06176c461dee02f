"""The list of stores and the page made from it."""

from importlib.metadata import EntryPoint
from importlib.util import find_spec
from pathlib import Path

import pytest

from crossfade.stores import Guard, known_schemes, listing
from crossfade.stores.listing import listed_stores
from crossfade.stores.page import stores_page

PAGE = Path(__file__).parents[2] / "docs" / "stores.md"


def test_every_scheme_is_listed_once_and_says_what_it_can_do() -> None:
    listed = listed_stores()
    assert sorted(scheme for store in listed for scheme in store.schemes) == known_schemes()
    for store in listed:
        assert store.capabilities is not None and store.installed
        assert store.schemes[0] == store.capabilities.scheme
        assert store.capabilities.uri.startswith(f"{store.schemes[0]}://")
        assert store.capabilities.tested_against and store.description
        assert (store.pip_line is None) == (store.capabilities.package is None)


def test_a_store_of_several_processes_has_more_than_one_writer_in_mind() -> None:
    for store in listed_stores():
        assert store.capabilities is not None
        alone = store.capabilities.conditional_write is Guard.ONE_WRITER
        assert store.capabilities.several_processes != alone


def test_what_is_missing_comes_with_its_pip_line(monkeypatch: pytest.MonkeyPatch) -> None:
    def without_faiss(name: str) -> object:
        return None if name == "faiss" else find_spec(name)

    monkeypatch.setattr(listing, "find_spec", without_faiss)
    missing = [store for store in listed_stores() if not store.installed]
    assert [store.schemes for store in missing] == [("faiss",)]
    assert missing[0].pip_line == 'pip install "crossfade[faiss]"'


def test_a_store_of_somebody_else_need_not_say(monkeypatch: pytest.MonkeyPatch) -> None:
    theirs = EntryPoint("theirs", "json:loads", "crossfade.stores")
    monkeypatch.setattr(listing, "entry_points", lambda group: [theirs])
    (store,) = listed_stores()
    assert (store.schemes, store.capabilities, store.installed) == (("theirs",), None, True)
    assert "theirs" not in stores_page([store])


def test_the_page_is_up_to_date() -> None:
    made = stores_page(listed_stores())
    assert PAGE.read_text(encoding="utf-8") == made, (
        "run: python -m crossfade.stores.page > docs/stores.md"
    )
