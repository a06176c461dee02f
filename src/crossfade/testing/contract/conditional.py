"""A vector is attached only to the version that it was computed from."""

from __future__ import annotations

import numpy as np
import pytest

from crossfade.errors import SpaceMismatch
from crossfade.stores import Outcome, Store
from crossfade.testing.contract.collection import Collection
from crossfade.testing.contract.steps import draft, items_of, run_together, write_of
from crossfade.testing.contract.values import NEW, OLD, axis

__all__ = ["ConditionalContract"]


class ConditionalContract(Collection):
    """A vector is attached only to the version that it was computed from."""

    def test_a_vector_is_attached_only_to_the_version_it_was_computed_from(
        self, store: Store
    ) -> None:
        store.put([draft(1, old=1, payload={"a": 1}), draft(2), draft(3)])
        one, two, three = items_of(store, [1, 2, 3])
        store.put([draft(2, old=2)])
        store.delete([3])
        writes = [write_of(item, axis(0, NEW)) for item in (one, two, three)]
        outcomes = store.set_vectors(NEW.name, writes)
        assert outcomes == [Outcome.APPLIED, Outcome.STALE, Outcome.GONE]
        after = store.get([1, 2, 3], vectors=[OLD.name, NEW.name])
        assert after[0] is not None and after[1] is not None and after[2] is None
        assert after[0].version == one.version and after[0].payload == {"a": 1}
        assert set(after[0].vectors) == {OLD.name, NEW.name}
        assert set(after[1].vectors) == {OLD.name}
        assert store.count() == 2

    def test_a_deleted_item_stays_deleted_and_its_version_never_comes_back(
        self, store: Store
    ) -> None:
        store.put([draft(1)])
        (before,) = items_of(store, [1])
        store.delete([1])
        store.put([draft(1, old=2)])
        assert store.set_vectors(NEW.name, [write_of(before, axis(0, NEW))]) == [Outcome.STALE]
        assert store.count(has=NEW.name) == 0

    def test_writing_a_vector_again_is_harmless_and_the_last_stands(self, store: Store) -> None:
        store.put([draft(1)])
        (item,) = items_of(store, [1])
        writes = [write_of(item, axis(0, NEW)), write_of(item, axis(1, NEW))]
        assert store.set_vectors(NEW.name, writes) == [Outcome.APPLIED] * 2
        (after,) = items_of(store, [1], NEW.name)
        assert np.array_equal(after.vectors[NEW.name], axis(1, NEW))

    def test_a_vector_of_a_wrong_space_is_never_written(self, store: Store) -> None:
        store.put([draft(1)])
        (item,) = items_of(store, [1])
        for space, vector in (("unknown", axis(0)), (NEW.name, axis(0, OLD))):
            with pytest.raises(SpaceMismatch):
                store.set_vectors(space, [write_of(item, axis(0, NEW)), write_of(item, vector)])
        assert store.count(has=NEW.name) == 0

    def test_no_vector_writes_are_harmless(self, store: Store) -> None:
        assert store.set_vectors(NEW.name, []) == []

    def test_of_many_writers_each_item_gets_a_vector_of_its_own_version(self, store: Store) -> None:
        store.put([draft(id, old=0, payload={"axis": 0}) for id in range(20)])

        def rewrite() -> None:
            for turn in range(1, 16):
                store.put([draft(id, old=0, payload={"axis": turn % 3}) for id in range(20)])

        def attach() -> None:
            for _ in range(30):
                items = items_of(store, list(range(20)))
                store.set_vectors(
                    NEW.name, [write_of(item, axis(item.payload["axis"], NEW)) for item in items]
                )

        run_together(rewrite, attach, attach)
        for item in items_of(store, list(range(20)), NEW.name):
            if NEW.name in item.vectors:
                assert np.array_equal(item.vectors[NEW.name], axis(item.payload["axis"], NEW))
