"""Scans see every item once; counts count."""

from __future__ import annotations

import numpy as np

from crossfade.stores import Id, Store, id_order
from crossfade.testing.contract.collection import Collection
from crossfade.testing.contract.steps import draft, scan_ids
from crossfade.testing.contract.values import AWKWARD_IDS, NEW, OLD, axis

__all__ = ["ScanningContract"]


class ScanningContract(Collection):
    """Scans see every item once; counts count."""

    def test_scan_sees_every_item_once_in_one_strict_order(self, store: Store) -> None:
        store.put([draft(id, old=1, payload={"a": str(id)}) for id in AWKWARD_IDS])
        for n in (1, 3, 7, 100):
            seen = scan_ids(store, n)
            assert sorted(seen, key=id_order) == sorted(AWKWARD_IDS, key=id_order)
            assert seen == scan_ids(store, 100)

    def test_scan_goes_on_behind_a_deleted_item(self, store: Store) -> None:
        store.put([draft(id) for id in AWKWARD_IDS])
        order = scan_ids(store, 100)
        for position, id in enumerate(order):
            store.delete([id])
            assert [item.id for item in store.scan(after=id, n=100)] == order[position + 1 :]

    def test_an_item_that_stays_is_seen_once_whatever_is_written_meanwhile(
        self, store: Store
    ) -> None:
        staying = list(range(0, 60, 3))
        store.put([draft(id) for id in range(60)])
        seen: list[Id] = []
        after: Id | None = None
        for turn in range(1000):
            batch = store.scan(after=after, n=4)
            if not batch:
                break
            seen += [item.id for item in batch]
            after = batch[-1].id
            store.delete([id for id in range(60) if id % 3 == 1 and id % 7 == turn % 7])
            store.put([draft(staying[turn % len(staying)], old=turn)])
            if turn < 20:  # a scan may follow its writer for ever
                store.put([draft(100 + turn)])
        assert [id for id in seen if id in staying] == staying
        assert len(set(seen)) == len(seen)

    def test_scan_may_leave_out_items_and_bring_vectors(self, store: Store) -> None:
        store.put([draft(1, old=1, new=1), draft(2, old=2, payload={"a": 1}), draft(3, new=1)])
        (item,) = store.scan(n=10, lacks=NEW.name, vectors=[OLD.name])
        assert item.id == 2 and item.payload == {"a": 1}
        assert np.array_equal(item.vectors[OLD.name], axis(2))
        (bare,) = store.scan(n=10, lacks=NEW.name, vectors=[OLD.name], payload=False)
        assert (bare.id, bare.version, dict(bare.payload)) == (2, item.version, {})
        assert np.array_equal(bare.vectors[OLD.name], axis(2))
        assert len(store.scan(n=10, lacks="unknown")) == 3
        assert store.scan(n=10, after=3) == []

    def test_count_counts_what_items_hold_and_lack(self, store: Store) -> None:
        assert store.count() == 0
        store.put([draft(1, old=1, new=1), draft(2, old=1), draft(3, old=1), draft(4, new=1)])
        assert store.count() == 4
        assert (store.count(has=OLD.name), store.count(lacks=OLD.name)) == (3, 1)
        assert store.count(has=OLD.name, lacks=NEW.name) == 2
        assert (store.count(has="unknown"), store.count(lacks="unknown")) == (0, 4)
