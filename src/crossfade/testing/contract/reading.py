"""Items are read by id, and deleted for good."""

from __future__ import annotations

from crossfade.stores import Store
from crossfade.testing.contract.collection import Collection
from crossfade.testing.contract.steps import draft, items_of
from crossfade.testing.contract.values import NEW

__all__ = ["ReadingContract"]


class ReadingContract(Collection):
    """Items are read by id, and deleted for good."""

    def test_delete_counts_what_was_there(self, store: Store) -> None:
        store.put([draft(id) for id in (1, 2, "1")])
        assert store.delete([1, 1, "nobody", 99]) == 1
        assert store.delete([1]) == 0
        assert store.delete([]) == 0
        assert store.get([1, 2])[0] is None
        assert store.count() == 2

    def test_get_answers_in_the_order_asked(self, store: Store) -> None:
        store.put([draft(id) for id in (1, "a", -3)])
        got = store.get(["a", "nobody", -3, 1, "a"])
        assert [None if item is None else item.id for item in got] == ["a", None, -3, 1, "a"]
        assert store.get([]) == []

    def test_get_gives_the_vectors_asked_for_and_held(self, store: Store) -> None:
        store.put([draft(1, old=1, new=1), draft(2, old=2)])
        one, two = items_of(store, [1, 2], NEW.name)
        assert set(one.vectors) == {NEW.name} and not two.vectors
        (bare,) = items_of(store, [1])
        assert not bare.vectors
