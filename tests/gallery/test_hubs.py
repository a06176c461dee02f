"""Hubness of items, computed once for each new vector."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import numpy as np
import pytest

from crossfade.embeddings import unit_rows
from crossfade.gallery.hubs import Hubs
from crossfade.stores import Item
from crossfade.testing import make_upgrade
from crossfade.upgrade import ItemOffset, Side

VECTORS = unit_rows(np.random.default_rng(0).normal(size=(8, 20)))


def item(id: int, row: int | None = None) -> Item:
    return Item(id, 1, {"new": VECTORS[id % 8 if row is None else row]}, {})


@pytest.fixture
def offset() -> ItemOffset:
    made = make_upgrade(Side.ITEMS, rho=False, offset=True).offset
    assert made is not None
    return made


@pytest.fixture
def computed(monkeypatch: pytest.MonkeyPatch) -> list[int]:
    rows: list[int] = []
    of_new = ItemOffset.of_new

    def counted(self: ItemOffset, new: Any) -> Any:
        rows.append(len(new))
        return of_new(self, new)

    monkeypatch.setattr(ItemOffset, "of_new", counted)
    return rows


def test_each_item_is_computed_once_until_it_changes(
    offset: ItemOffset, computed: list[int]
) -> None:
    hubs = Hubs("new")
    wanted = offset.of_new(VECTORS)
    del computed[:]
    first = hubs.of([item(2), item(0)], offset)
    np.testing.assert_array_equal(first, wanted[[2, 0]])
    again = hubs.of([item(0), item(1), item(2)], offset)
    np.testing.assert_array_equal(again, wanted[[0, 1, 2]])
    assert computed == [2, 1]
    # A new start brings another model's vector, and the same version.
    np.testing.assert_array_equal(hubs.of([item(0, row=5)], offset), wanted[[5]])
    assert computed == [2, 1, 1]
    assert len(hubs.of([], offset)) == 0


def test_offsets_that_queries_have_taught_are_others(offset: ItemOffset) -> None:
    taught = replace(offset, bank=offset.bank[::-1][:1])
    hubs, items = Hubs("new"), [item(0), item(1)]
    for one in (offset, taught, offset):
        np.testing.assert_array_equal(hubs.of(items, one), one.of_new(VECTORS[:2]))
    assert not np.array_equal(offset.of_new(VECTORS[:2]), taught.of_new(VECTORS[:2]))


def test_no_more_than_so_many_are_kept(
    offset: ItemOffset, computed: list[int], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("crossfade.gallery.hubs._MOST_KEPT", 4)
    hubs = Hubs("new")
    for id in range(20):
        assert hubs.of([item(id)], offset) == offset.of_new(VECTORS[[id % 8]])
        assert len(hubs._kept) <= 4
