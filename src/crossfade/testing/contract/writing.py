"""Items are written whole, or refused whole."""

from __future__ import annotations

import numpy as np
import pytest

from crossfade.stores import Draft, Store
from crossfade.testing.contract.collection import Collection
from crossfade.testing.contract.steps import draft, items_of, types_of
from crossfade.testing.contract.values import (
    AWKWARD_IDS,
    AWKWARD_PAYLOAD,
    BAD_DRAFTS,
    NEW,
    OLD,
    axis,
)

__all__ = ["WritingContract"]


class WritingContract(Collection):
    """Items are written whole, or refused whole."""

    def test_items_come_back_as_they_were_put(self, store: Store) -> None:
        payload = AWKWARD_PAYLOAD
        store.put([draft(id, old=row, payload=payload) for row, id in enumerate(AWKWARD_IDS)])
        assert store.count() == len(AWKWARD_IDS)
        for row, item in enumerate(items_of(store, AWKWARD_IDS, OLD.name)):
            assert item.id == AWKWARD_IDS[row] and type(item.id) is type(AWKWARD_IDS[row])
            assert item.payload == payload
            assert types_of(item.payload) == types_of(payload)
            assert item.vectors[OLD.name].dtype == np.float32
            assert np.array_equal(item.vectors[OLD.name], axis(row))

    def test_vectors_come_back_bit_for_bit(self, store: Store) -> None:
        rows = np.random.default_rng(0).normal(size=(50, OLD.dim)).astype(np.float32)
        rows /= np.linalg.norm(rows, axis=1, keepdims=True)
        store.put([Draft(id, {OLD.name: row}) for id, row in enumerate(rows)])
        got = [item.vectors[OLD.name] for item in items_of(store, list(range(50)), OLD.name)]
        assert np.array_equal(np.stack(got), rows)

    def test_put_replaces_whole_items_and_gives_new_versions(self, store: Store) -> None:
        store.put([draft(1, old=1, new=1, payload={"a": 1, "b": 2}), draft(2)])
        first, other = items_of(store, [1, 2])
        store.put([draft(1, old=2, payload={"c": 3})])
        second, same = items_of(store, [1, 2], OLD.name, NEW.name)
        assert second.version != first.version and same.version == other.version
        assert second.payload == {"c": 3}
        assert set(second.vectors) == {OLD.name}
        assert np.array_equal(second.vectors[OLD.name], axis(2))
        assert store.count() == 2

    def test_a_replaced_item_is_no_longer_found_by_its_earlier_vector(self, store: Store) -> None:
        store.put([draft(1, old=0, new=0)])
        store.put([draft(1, old=3)])
        assert store.search(NEW.name, axis(0, NEW)[None], 5) == [[]]
        assert store.search(OLD.name, axis(0)[None], 5)[0][0].score == 0.0

    def test_what_the_caller_changes_later_is_not_changed_in_the_store(self, store: Store) -> None:
        row, payload = axis(1), {"list": [1]}
        store.put([Draft(1, {OLD.name: row}, payload)])
        row[:] = 0
        payload["list"].append(2)
        (item,) = items_of(store, [1], OLD.name)
        item.vectors[OLD.name][:] = 0
        (again,) = items_of(store, [1], OLD.name)
        assert again.payload == {"list": [1]}
        assert np.array_equal(again.vectors[OLD.name], axis(1))

    def test_putting_nothing_is_harmless(self, store: Store) -> None:
        store.put([])
        assert store.count() == 0

    def test_a_bad_draft_is_refused_and_nothing_is_written(self, store: Store) -> None:
        for bad, error in BAD_DRAFTS:
            with pytest.raises(error):
                store.put([draft(1), bad])
            assert store.count() == 0, bad

    def test_numpy_ids_are_plain_ids(self, store: Store) -> None:
        store.put([draft(np.int64(7)), draft(np.str_("seven"))])  # type: ignore[arg-type]
        assert [item.id for item in items_of(store, [7, "seven"])] == [7, "seven"]
