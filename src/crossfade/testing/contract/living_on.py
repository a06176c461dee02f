"""What was written stays, also while others read."""

from __future__ import annotations

import threading
from pathlib import Path

import pytest

from crossfade.embeddings import Space
from crossfade.errors import StoreError
from crossfade.stores import Store
from crossfade.testing.contract.collection import Collection
from crossfade.testing.contract.steps import as_plain, draft, items_of, run_together, write_of
from crossfade.testing.contract.values import AWKWARD_IDS, NEW, OLD, axis

__all__ = ["LivingOnContract"]


class LivingOnContract(Collection):
    """What was written stays, also while others read."""

    def test_what_was_written_is_there_after_reopening(self, store: Store, place: Path) -> None:
        store.put([draft(id, old=row) for row, id in enumerate(AWKWARD_IDS)])
        (item,) = items_of(store, [10])
        store.set_vectors(NEW.name, [write_of(item, axis(1, NEW))])
        store.delete(["a"])
        store.swap_pointer("p", None, "here")
        before = [as_plain(one) for one in store.scan(n=100, vectors=[OLD.name, NEW.name])]
        store.close()
        with self.open_store(place) as again:
            assert again.spaces() == {OLD.name: OLD, NEW.name: NEW}
            after = [as_plain(one) for one in again.scan(n=100, vectors=[OLD.name, NEW.name])]
            assert after == before and len(after) == len(AWKWARD_IDS) - 1
            assert again.read_pointer("p") == "here"
            again.put([draft("a", old=1)])
            assert again.count() == len(AWKWARD_IDS)

    def test_spaces_live_on_after_reopening(self, store: Store, place: Path) -> None:
        store.put([draft(1, old=1, new=1)])
        store.drop_space(NEW.name)
        store.ensure_space(Space("third", 2))
        store.close()
        with self.open_store(place) as again:
            assert again.spaces() == {OLD.name: OLD, "third": Space("third", 2)}
            again.ensure_space(NEW)
            assert again.count(has=NEW.name) == 0

    def test_a_closed_store_refuses_work(self, store: Store) -> None:
        store.close()
        store.close()
        for work in (store.count, store.flush, lambda: store.put([draft(1)])):
            with pytest.raises(StoreError):
                work()

    def test_flush_may_be_called_at_any_time(self, store: Store) -> None:
        store.flush()
        store.put([draft(1)])
        store.flush()
        store.flush()
        assert store.count() == 1

    def test_searches_run_while_items_are_written(self, store: Store) -> None:
        store.put([draft(id, old=0) for id in range(50)])
        done = threading.Event()

        def write() -> None:
            try:
                for turn in range(30):
                    store.put([draft(1000 + turn, old=1)])
                    items = items_of(store, list(range(50)))
                    store.set_vectors(NEW.name, [write_of(item, axis(0, NEW)) for item in items])
                    store.delete([1000 + turn])
            finally:
                done.set()

        def search() -> None:
            while not done.is_set():
                (found,) = store.search(OLD.name, axis(0)[None], 50)
                assert [match.id for match in found] == list(range(50))

        run_together(write, search, search)
