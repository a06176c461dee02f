"""Spaces come, go, and keep their dimension."""

from __future__ import annotations

import pytest

from crossfade.embeddings import Space
from crossfade.errors import SpaceMismatch
from crossfade.stores import Draft, Outcome, Store
from crossfade.testing.contract.collection import Collection
from crossfade.testing.contract.steps import draft, ids_of, items_of, write_of
from crossfade.testing.contract.values import NEW, OLD, axis

__all__ = ["SpacesContract"]


class SpacesContract(Collection):
    """Spaces come, go, and keep their dimension."""

    def test_a_space_may_be_added_at_any_time_and_again(self, store: Store) -> None:
        late = Space("late", 2)
        store.put([draft(1)])
        store.ensure_space(late)
        store.ensure_space(late)
        assert store.spaces() == {space.name: space for space in (OLD, NEW, late)}
        (item,) = items_of(store, [1])
        assert store.set_vectors("late", [write_of(item, axis(0, late))]) == [Outcome.APPLIED]
        assert ids_of(store.search("late", axis(0, late)[None], 5)) == [[1]]

    def test_a_space_of_another_dimension_is_refused(self, store: Store) -> None:
        with pytest.raises(SpaceMismatch):
            store.ensure_space(Space(OLD.name, OLD.dim + 1))
        assert store.spaces()[OLD.name] == OLD

    def test_a_dropped_space_takes_its_vectors_and_leaves_the_items(self, store: Store) -> None:
        store.put([draft(1, old=1, new=1, payload={"a": 1})])
        (before,) = items_of(store, [1])
        store.drop_space(NEW.name)
        store.drop_space(NEW.name)
        store.drop_space("never there")
        assert store.spaces() == {OLD.name: OLD}
        (item,) = items_of(store, [1], OLD.name, NEW.name)
        assert set(item.vectors) == {OLD.name} and item.payload == {"a": 1}
        assert item.version == before.version
        assert (store.count(), store.count(has=NEW.name), store.count(lacks=NEW.name)) == (1, 0, 1)

    def test_a_dropped_name_can_be_used_again_for_another_dimension(self, store: Store) -> None:
        store.put([draft(1, old=1, new=1)])
        store.drop_space(NEW.name)
        wider = Space(NEW.name, 6)
        store.ensure_space(wider)
        assert store.count(has=NEW.name) == 0
        store.put([Draft(2, {NEW.name: axis(5, wider)})])
        assert ids_of(store.search(NEW.name, axis(5, wider)[None], 5)) == [[2]]
