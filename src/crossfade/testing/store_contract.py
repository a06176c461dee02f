"""The store contract as tests. Subclass it, say how a store is opened, and run pytest:

    class TestMyStore(StoreContract):
        def open_store(self, place: Path) -> Store:
            return open_store(f"mystore://{place}")

``place`` is a path that does not exist yet; opening it again must find the same collection if
the store is persistent. Vectors are axes, so that every store computes the same scores to the
last bit and ties are true ties.
"""

from __future__ import annotations

import threading
from abc import ABC, abstractmethod
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from crossfade.embeddings import FloatArray, Space
from crossfade.errors import InvalidInput, SpaceMismatch, StoreError
from crossfade.stores import Draft, Filter, Id, Match, Outcome, Store, VectorWrite, id_order
from crossfade.stores.filters import matches

__all__ = ["AWKWARD_IDS", "NEW", "OLD", "StoreContract", "axis"]

OLD, NEW = Space("old", 4), Space("new+rho:1f~@2024/ü", 3)
AWKWARD_IDS: list[Id] = [
    *(0, 1, 2, 10, -1, -5, 2**63 - 1, -(2**63)),
    *("", "0", "1", "-1", "a", "A", "a b", "é", "e\u0301", "日本語", "🙂", "\0", "x" * 500),
    "c4055fad-e000-5000-8000-000000000001",
]


def axis(which: int, space: Space = OLD) -> FloatArray:
    """A unit vector along an axis; negative numbers point the other way."""
    row = np.zeros(space.dim, dtype=np.float32)
    row[abs(which) % space.dim] = -1.0 if which < 0 else 1.0
    return row


class StoreContract(ABC):
    """Everything that :class:`crossfade.stores.Store` promises."""

    @abstractmethod
    def open_store(self, place: Path) -> Store:
        """Open or create the collection at a place."""

    @pytest.fixture
    def place(self, tmp_path: Path) -> Path:
        """Where this test's collection is."""
        return tmp_path / "collection"

    @pytest.fixture
    def store(self, place: Path) -> Iterator[Store]:
        """An empty collection with two spaces."""
        store = self.open_store(place)
        store.ensure_space(OLD)
        store.ensure_space(NEW)
        yield store
        store.close()

    # Spaces

    def test_a_space_may_be_added_at_any_time_and_again(self, store: Store) -> None:
        late = Space("late", 2)
        store.put([_draft(1)])
        store.ensure_space(late)
        store.ensure_space(late)
        assert store.spaces() == {space.name: space for space in (OLD, NEW, late)}
        (item,) = _items(store, [1])
        assert store.set_vectors("late", [_write(item, axis(0, late))]) == [Outcome.APPLIED]
        assert _ids(store.search("late", axis(0, late)[None], 5)) == [[1]]

    def test_a_space_of_another_dimension_is_refused(self, store: Store) -> None:
        with pytest.raises(SpaceMismatch):
            store.ensure_space(Space(OLD.name, OLD.dim + 1))
        assert store.spaces()[OLD.name] == OLD

    def test_a_dropped_space_takes_its_vectors_and_leaves_the_items(self, store: Store) -> None:
        store.put([_draft(1, old=1, new=1, payload={"a": 1})])
        (before,) = _items(store, [1])
        store.drop_space(NEW.name)
        store.drop_space(NEW.name)
        store.drop_space("never there")
        assert store.spaces() == {OLD.name: OLD}
        (item,) = _items(store, [1], OLD.name, NEW.name)
        assert set(item.vectors) == {OLD.name} and item.payload == {"a": 1}
        assert item.version == before.version
        assert (store.count(), store.count(has=NEW.name), store.count(lacks=NEW.name)) == (1, 0, 1)

    def test_a_dropped_name_can_be_used_again_for_another_dimension(self, store: Store) -> None:
        store.put([_draft(1, old=1, new=1)])
        store.drop_space(NEW.name)
        wider = Space(NEW.name, 6)
        store.ensure_space(wider)
        assert store.count(has=NEW.name) == 0
        store.put([Draft(2, {NEW.name: axis(5, wider)})])
        assert _ids(store.search(NEW.name, axis(5, wider)[None], 5)) == [[2]]

    # Writing items

    def test_items_come_back_as_they_were_put(self, store: Store) -> None:
        payload = _AWKWARD_PAYLOAD
        store.put([_draft(id, old=row, payload=payload) for row, id in enumerate(AWKWARD_IDS)])
        assert store.count() == len(AWKWARD_IDS)
        for row, item in enumerate(_items(store, AWKWARD_IDS, OLD.name)):
            assert item.id == AWKWARD_IDS[row] and type(item.id) is type(AWKWARD_IDS[row])
            assert item.payload == payload
            assert _types(item.payload) == _types(payload)
            assert item.vectors[OLD.name].dtype == np.float32
            assert np.array_equal(item.vectors[OLD.name], axis(row))

    def test_vectors_come_back_bit_for_bit(self, store: Store) -> None:
        rows = np.random.default_rng(0).normal(size=(50, OLD.dim)).astype(np.float32)
        rows /= np.linalg.norm(rows, axis=1, keepdims=True)
        store.put([Draft(id, {OLD.name: row}) for id, row in enumerate(rows)])
        got = [item.vectors[OLD.name] for item in _items(store, list(range(50)), OLD.name)]
        assert np.array_equal(np.stack(got), rows)

    def test_put_replaces_whole_items_and_gives_new_versions(self, store: Store) -> None:
        store.put([_draft(1, old=1, new=1, payload={"a": 1, "b": 2}), _draft(2)])
        first, other = _items(store, [1, 2])
        store.put([_draft(1, old=2, payload={"c": 3})])
        second, same = _items(store, [1, 2], OLD.name, NEW.name)
        assert second.version != first.version and same.version == other.version
        assert second.payload == {"c": 3}
        assert set(second.vectors) == {OLD.name}
        assert np.array_equal(second.vectors[OLD.name], axis(2))
        assert store.count() == 2

    def test_a_replaced_item_is_no_longer_found_by_its_earlier_vector(self, store: Store) -> None:
        store.put([_draft(1, old=0, new=0)])
        store.put([_draft(1, old=3)])
        assert store.search(NEW.name, axis(0, NEW)[None], 5) == [[]]
        assert store.search(OLD.name, axis(0)[None], 5)[0][0].score == 0.0

    def test_what_the_caller_changes_later_is_not_changed_in_the_store(self, store: Store) -> None:
        row, payload = axis(1), {"list": [1]}
        store.put([Draft(1, {OLD.name: row}, payload)])
        row[:] = 0
        payload["list"].append(2)
        (item,) = _items(store, [1], OLD.name)
        item.vectors[OLD.name][:] = 0
        (again,) = _items(store, [1], OLD.name)
        assert again.payload == {"list": [1]}
        assert np.array_equal(again.vectors[OLD.name], axis(1))

    def test_putting_nothing_is_harmless(self, store: Store) -> None:
        store.put([])
        assert store.count() == 0

    def test_a_bad_draft_is_refused_and_nothing_is_written(self, store: Store) -> None:
        for bad, error in _BAD_DRAFTS:
            with pytest.raises(error):
                store.put([_draft(1), bad])
            assert store.count() == 0, bad

    def test_numpy_ids_are_plain_ids(self, store: Store) -> None:
        store.put([_draft(np.int64(7)), _draft(np.str_("seven"))])  # type: ignore[arg-type]
        assert [item.id for item in _items(store, [7, "seven"])] == [7, "seven"]

    # Conditional vector writes

    def test_a_vector_is_attached_only_to_the_version_it_was_computed_from(
        self, store: Store
    ) -> None:
        store.put([_draft(1, old=1, payload={"a": 1}), _draft(2), _draft(3)])
        one, two, three = _items(store, [1, 2, 3])
        store.put([_draft(2, old=2)])
        store.delete([3])
        writes = [_write(item, axis(0, NEW)) for item in (one, two, three)]
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
        store.put([_draft(1)])
        (before,) = _items(store, [1])
        store.delete([1])
        store.put([_draft(1, old=2)])
        assert store.set_vectors(NEW.name, [_write(before, axis(0, NEW))]) == [Outcome.STALE]
        assert store.count(has=NEW.name) == 0

    def test_writing_a_vector_again_is_harmless_and_the_last_stands(self, store: Store) -> None:
        store.put([_draft(1)])
        (item,) = _items(store, [1])
        writes = [_write(item, axis(0, NEW)), _write(item, axis(1, NEW))]
        assert store.set_vectors(NEW.name, writes) == [Outcome.APPLIED] * 2
        (after,) = _items(store, [1], NEW.name)
        assert np.array_equal(after.vectors[NEW.name], axis(1, NEW))

    def test_a_vector_of_a_wrong_space_is_never_written(self, store: Store) -> None:
        store.put([_draft(1)])
        (item,) = _items(store, [1])
        for space, vector in (("unknown", axis(0)), (NEW.name, axis(0, OLD))):
            with pytest.raises(SpaceMismatch):
                store.set_vectors(space, [_write(item, axis(0, NEW)), _write(item, vector)])
        assert store.count(has=NEW.name) == 0

    def test_no_vector_writes_are_harmless(self, store: Store) -> None:
        assert store.set_vectors(NEW.name, []) == []

    def test_of_many_writers_each_item_gets_a_vector_of_its_own_version(self, store: Store) -> None:
        store.put([_draft(id, old=0, payload={"axis": 0}) for id in range(20)])

        def rewrite() -> None:
            for turn in range(1, 16):
                store.put([_draft(id, old=0, payload={"axis": turn % 3}) for id in range(20)])

        def attach() -> None:
            for _ in range(30):
                items = _items(store, list(range(20)))
                store.set_vectors(
                    NEW.name, [_write(item, axis(item.payload["axis"], NEW)) for item in items]
                )

        _together(rewrite, attach, attach)
        for item in _items(store, list(range(20)), NEW.name):
            if NEW.name in item.vectors:
                assert np.array_equal(item.vectors[NEW.name], axis(item.payload["axis"], NEW))

    # Deleting and reading

    def test_delete_counts_what_was_there(self, store: Store) -> None:
        store.put([_draft(id) for id in (1, 2, "1")])
        assert store.delete([1, 1, "nobody", 99]) == 1
        assert store.delete([1]) == 0
        assert store.delete([]) == 0
        assert store.get([1, 2])[0] is None
        assert store.count() == 2

    def test_get_answers_in_the_order_asked(self, store: Store) -> None:
        store.put([_draft(id) for id in (1, "a", -3)])
        got = store.get(["a", "nobody", -3, 1, "a"])
        assert [None if item is None else item.id for item in got] == ["a", None, -3, 1, "a"]
        assert store.get([]) == []

    def test_get_gives_the_vectors_asked_for_and_held(self, store: Store) -> None:
        store.put([_draft(1, old=1, new=1), _draft(2, old=2)])
        one, two = _items(store, [1, 2], NEW.name)
        assert set(one.vectors) == {NEW.name} and not two.vectors
        (bare,) = _items(store, [1])
        assert not bare.vectors

    # Searching

    def test_search_finds_the_closest_with_their_versions(self, store: Store) -> None:
        store.put([_draft(id, old=id) for id in range(4)])
        ((first, *rest),) = store.search(OLD.name, axis(2)[None], 4)
        assert first == Match(2, _items(store, [2])[0].version, 1.0)
        assert [match.id for match in rest] == [0, 1, 3]

    def test_ties_are_in_order_of_id_also_at_the_cut(self, store: Store) -> None:
        store.put([_draft(id, old=0) for id in reversed(AWKWARD_IDS)])
        in_order = sorted(AWKWARD_IDS, key=id_order)
        for k in range(1, len(in_order) + 3):
            assert _ids(store.search(OLD.name, axis(0)[None], k)) == [in_order[:k]]

    def test_k_may_be_larger_than_the_gallery(self, store: Store) -> None:
        store.put([_draft(id, old=id) for id in range(3)])
        assert len(store.search(OLD.name, axis(0)[None], 10**9)[0]) == 3

    def test_only_items_with_a_vector_of_the_space_are_found(self, store: Store) -> None:
        store.put([_draft(1, old=0), _draft(2, new=0), Draft(3)])
        assert _ids(store.search(OLD.name, axis(0)[None], 5)) == [[1]]
        assert _ids(store.search(NEW.name, axis(0, NEW)[None], 5)) == [[2]]

    def test_lacks_leaves_out_items_with_the_other_vector(self, store: Store) -> None:
        store.put([_draft(1, old=0, new=0), _draft(2, old=0), _draft(3, new=0)])
        assert _ids(store.search(OLD.name, axis(0)[None], 5, lacks=NEW.name)) == [[2]]
        assert _ids(store.search(OLD.name, axis(0)[None], 5, lacks="unknown")) == [[1, 2]]

    def test_every_query_gets_its_own_list(self, store: Store) -> None:
        store.put([_draft(id, old=id) for id in range(4)])
        queries = np.stack([axis(row % 4) for row in range(9)])
        found = store.search(OLD.name, queries, 1)
        assert _ids(found) == [[row % 4] for row in range(9)]
        assert store.search(OLD.name, np.empty((0, 4), np.float32), 3) == []

    def test_an_empty_collection_finds_nothing(self, store: Store) -> None:
        assert store.search(OLD.name, np.stack([axis(0), axis(1)]), 3) == [[], []]

    def test_scores_are_inner_products(self, store: Store) -> None:
        rng = np.random.default_rng(1)
        rows = rng.normal(size=(40, OLD.dim)).astype(np.float32)
        rows /= np.linalg.norm(rows, axis=1, keepdims=True)
        store.put([Draft(id, {OLD.name: row}) for id, row in enumerate(rows)])
        for query in rows[:5]:
            (found,) = store.search(OLD.name, query[None], 40)
            expected = {id: float(row @ query) for id, row in enumerate(rows)}
            assert {match.id: match.score for match in found} == pytest.approx(expected, abs=1e-6)
            scores = [match.score for match in found]
            assert scores == sorted(scores, reverse=True)

    def test_filters_mean_what_they_mean(self, store: Store) -> None:
        store.put([_draft(id, old=id, payload=one) for id, one in enumerate(_PAYLOADS)])
        for filter in _FILTERS:
            expected = [id for id, payload in enumerate(_PAYLOADS) if matches(filter, payload)]
            (found,) = store.search(OLD.name, axis(0)[None], 100, filter=filter)
            assert sorted(match.id for match in found) == expected, filter

    def test_a_filter_of_another_form_is_refused(self, store: Store) -> None:
        for filter in _BAD_FILTERS:
            with pytest.raises(InvalidInput):
                store.search(OLD.name, axis(0)[None], 3, filter=filter)

    def test_a_rare_match_is_found_however_far_it_is(self, store: Store) -> None:
        store.put([_draft(id, old=0) for id in range(300)])
        store.put([_draft(1000 + id, old=-1, payload={"rare": True}) for id in range(3)])
        (found,) = store.search(OLD.name, axis(0)[None], 10, filter={"rare": True})
        assert [match.id for match in found] == [1000, 1001, 1002]

    def test_bad_searches_are_refused(self, store: Store) -> None:
        with pytest.raises(SpaceMismatch):
            store.search("unknown", axis(0)[None], 3)
        with pytest.raises(SpaceMismatch):
            store.search(OLD.name, axis(0, NEW)[None], 3)
        with pytest.raises(InvalidInput):
            store.search(OLD.name, np.full((1, 4), np.nan, np.float32), 3)
        for k in (0, -1):
            with pytest.raises(InvalidInput):
                store.search(OLD.name, axis(0)[None], k)

    # Scanning and counting

    def test_scan_sees_every_item_once_in_one_strict_order(self, store: Store) -> None:
        store.put([_draft(id, old=1, payload={"a": str(id)}) for id in AWKWARD_IDS])
        for n in (1, 3, 7, 100):
            seen = _scan(store, n)
            assert sorted(seen, key=id_order) == sorted(AWKWARD_IDS, key=id_order)
            assert seen == _scan(store, 100)

    def test_scan_goes_on_behind_a_deleted_item(self, store: Store) -> None:
        store.put([_draft(id) for id in AWKWARD_IDS])
        order = _scan(store, 100)
        for position, id in enumerate(order):
            store.delete([id])
            assert [item.id for item in store.scan(after=id, n=100)] == order[position + 1 :]

    def test_an_item_that_stays_is_seen_once_whatever_is_written_meanwhile(
        self, store: Store
    ) -> None:
        staying = list(range(0, 60, 3))
        store.put([_draft(id) for id in range(60)])
        seen: list[Id] = []
        after: Id | None = None
        for turn in range(1000):
            batch = store.scan(after=after, n=4)
            if not batch:
                break
            seen += [item.id for item in batch]
            after = batch[-1].id
            store.delete([id for id in range(60) if id % 3 == 1 and id % 7 == turn % 7])
            store.put([_draft(100 + turn), _draft(staying[turn % len(staying)], old=turn)])
        assert [id for id in seen if id in staying] == staying
        assert len(set(seen)) == len(seen)

    def test_scan_may_leave_out_items_and_bring_vectors(self, store: Store) -> None:
        store.put([_draft(1, old=1, new=1), _draft(2, old=2, payload={"a": 1}), _draft(3, new=1)])
        (item,) = store.scan(n=10, lacks=NEW.name, vectors=[OLD.name])
        assert item.id == 2 and item.payload == {"a": 1}
        assert np.array_equal(item.vectors[OLD.name], axis(2))
        assert len(store.scan(n=10, lacks="unknown")) == 3
        assert store.scan(n=10, after=3) == []

    def test_count_counts_what_items_hold_and_lack(self, store: Store) -> None:
        assert store.count() == 0
        store.put([_draft(1, old=1, new=1), _draft(2, old=1), _draft(3, old=1), _draft(4, new=1)])
        assert store.count() == 4
        assert (store.count(has=OLD.name), store.count(lacks=OLD.name)) == (3, 1)
        assert store.count(has=OLD.name, lacks=NEW.name) == 2
        assert (store.count(has="unknown"), store.count(lacks="unknown")) == (0, 4)

    # Pointers

    def test_a_pointer_is_swapped_only_from_what_it_is(self, store: Store) -> None:
        assert store.read_pointer("p") is None
        assert not store.swap_pointer("p", "something", "x")
        assert store.swap_pointer("p", None, "x")
        assert not store.swap_pointer("p", None, "y")
        assert store.read_pointer("p") == "x" and store.read_pointer("q") is None
        assert store.swap_pointer("p", "x", "ü🙂\n" * 1000)
        assert store.read_pointer("p") == "ü🙂\n" * 1000
        assert store.swap_pointer("p", "ü🙂\n" * 1000, None)
        assert store.read_pointer("p") is None

    def test_of_many_who_swap_one_wins(self, store: Store) -> None:
        won: list[int] = []

        def swap(which: int) -> None:
            for turn in range(20):
                seen = store.read_pointer("p")
                if store.swap_pointer("p", seen, f"{which}.{turn}"):
                    won.append(which)
                    expect = f"{which}.{turn}"
                    assert not store.swap_pointer("p", "never", expect)

        _together(lambda: swap(1), lambda: swap(2), lambda: swap(3))
        assert len(won) >= 20

    # Living on

    def test_what_was_written_is_there_after_reopening(self, store: Store, place: Path) -> None:
        if not store.capabilities.persistent:
            pytest.skip("the store is not persistent")
        store.put([_draft(id, old=row) for row, id in enumerate(AWKWARD_IDS)])
        (item,) = _items(store, [10])
        store.set_vectors(NEW.name, [_write(item, axis(1, NEW))])
        store.delete(["a"])
        store.swap_pointer("p", None, "here")
        before = [_as_plain(one) for one in store.scan(n=100, vectors=[OLD.name, NEW.name])]
        store.close()
        with self.open_store(place) as again:
            assert again.spaces() == {OLD.name: OLD, NEW.name: NEW}
            after = [_as_plain(one) for one in again.scan(n=100, vectors=[OLD.name, NEW.name])]
            assert after == before and len(after) == len(AWKWARD_IDS) - 1
            assert again.read_pointer("p") == "here"
            again.put([_draft("a", old=1)])
            assert again.count() == len(AWKWARD_IDS)

    def test_spaces_live_on_after_reopening(self, store: Store, place: Path) -> None:
        if not store.capabilities.persistent:
            pytest.skip("the store is not persistent")
        store.put([_draft(1, old=1, new=1)])
        store.drop_space(NEW.name)
        store.ensure_space(Space("third", 2))
        store.close()
        with self.open_store(place) as again:
            assert again.spaces() == {OLD.name: OLD, "third": Space("third", 2)}
            again.ensure_space(NEW)
            assert again.count(has=NEW.name) == 0

    def test_a_closed_persistent_store_refuses_work(self, store: Store) -> None:
        if not store.capabilities.persistent:
            pytest.skip("the store is not persistent")
        store.close()
        store.close()
        for work in (store.count, store.flush, lambda: store.put([_draft(1)])):
            with pytest.raises(StoreError):
                work()

    def test_flush_may_be_called_at_any_time(self, store: Store) -> None:
        store.flush()
        store.put([_draft(1)])
        store.flush()
        store.flush()
        assert store.count() == 1

    def test_searches_run_while_items_are_written(self, store: Store) -> None:
        store.put([_draft(id, old=0) for id in range(50)])
        done = threading.Event()

        def write() -> None:
            try:
                for turn in range(30):
                    store.put([_draft(1000 + turn, old=1)])
                    items = _items(store, list(range(50)))
                    store.set_vectors(NEW.name, [_write(item, axis(0, NEW)) for item in items])
                    store.delete([1000 + turn])
            finally:
                done.set()

        def search() -> None:
            while not done.is_set():
                (found,) = store.search(OLD.name, axis(0)[None], 50)
                assert [match.id for match in found] == list(range(50))

        _together(write, search, search)


_AWKWARD_PAYLOAD: Mapping[str, Any] = {
    "text": "ü🙂\0",
    "long": "x" * 5000,
    "integer": 7,
    "float": 7.0,
    "tiny": 5e-324,
    "third": 1 / 3,
    "big": 2**63 - 1,
    "negative": -(2**63),
    "true": True,
    "false": False,
    "null": None,
    "list": [1, "a", None, [2.5]],
    "object": {"a.b": {"c": []}},
    "a.b[0]": 1,
    'q"\\uo%te': "ü",
    "": "empty key",
    "id": "mine",
    "version": -1,
}
_PAYLOADS: Sequence[Mapping[str, Any]] = [
    {},
    {"color": "red"},
    {"color": "red", "price": 2, "flag": True},
    {"color": "blue", "price": 2.0, "flag": False},
    {"color": "Red", "price": 1, "flag": 1},
    {"color": 3, "price": 3, "flag": "true"},
    {"color": None, "price": "2"},
    {"color": ["red"], "tags": ["red", "blue"], "price": True},
    {"color": {"red": 1}, "price": [2]},
    {"price": 2**60},
    {"price": 2**60 + 1},
    {"price": float(2**60)},
    {"price": -1.5},
    {"a.b[0]": 1, 'q"\\uo%te': "ü", "": 1},
    {"a": {"b": [1]}},
]
_FILTERS: Sequence[Filter] = [
    {},
    {"color": "red"},
    {"color": {"in": ["red", "blue", 3]}},
    {"color": {"in": []}},
    {"price": {"gte": 1, "lt": 3}},
    {"price": {"gt": 1.5}},
    {"price": {"lte": 2}},
    {"price": 2},
    {"price": 2.0},
    {"price": "2"},
    {"flag": True},
    {"flag": False},
    {"flag": 1},
    {"price": True},
    {"price": 2**60},
    {"price": 2**60 + 1},
    {"tags": "red"},
    {"nothing": "x"},
    {"a.b[0]": 1},
    {'q"\\uo%te': "ü"},
    {"": 1},
    {"color": "red", "price": {"lt": 3}},
    {"and": [{"color": "red"}, {"not": {"price": 2}}]},
    {"or": [{"color": "blue"}, {"price": 2}]},
    {"not": {"color": "red"}},
    {"not": {"nothing": 1}},
    {"not": {"or": [{"color": "red"}, {"flag": True}]}},
    {"or": [{"and": [{"color": "red"}]}, {"not": {"color": {"in": ["red"]}}}]},
]
_BAD_FILTERS: Sequence[Filter] = [
    {"a": {"near": 1}},
    {"a": {}},
    {"or": []},
    {"a": None},
    {"a": 2.0**53},
    {"a": 2**63},
    {"a": {"lt": float("nan")}},
    {"a": {"in": 3}},
]
_BAD_DRAFTS: Sequence[tuple[Draft, type[Exception]]] = [
    (Draft(2, {"unknown": axis(0)}), SpaceMismatch),
    (Draft(2, {OLD.name: axis(0, NEW)}), SpaceMismatch),
    (Draft(2, {OLD.name: 2 * axis(0)}), InvalidInput),
    (Draft(2, {OLD.name: np.full(4, np.nan, np.float32)}), InvalidInput),
    (Draft(1), InvalidInput),
    (Draft(2**63), InvalidInput),
    (Draft(2.5), InvalidInput),  # type: ignore[arg-type]
    (Draft(True), InvalidInput),
    (Draft("\ud800"), InvalidInput),
    (Draft(2, {}, {"set": {1}}), InvalidInput),
    (Draft(2, {}, {"nan": float("nan")}), InvalidInput),
    (Draft(2, {}, {"big": 2**63}), InvalidInput),
    (Draft(2, {}, {1: "key"}), InvalidInput),  # type: ignore[dict-item]
]


def _draft(
    id: Id, old: int | None = None, new: int | None = None, payload: Mapping[str, Any] | None = None
) -> Draft:
    vectors = {}
    if old is not None:
        vectors[OLD.name] = axis(old)
    if new is not None:
        vectors[NEW.name] = axis(new, NEW)
    return Draft(id, vectors, payload or {})


def _write(item: Any, vector: FloatArray) -> VectorWrite:
    return VectorWrite(item.id, item.version, vector)


def _items(store: Store, ids: Sequence[Id], *vectors: str) -> list[Any]:
    items = store.get(ids, vectors=vectors)
    assert None not in items
    return items


def _ids(found: list[list[Match]]) -> list[list[Id]]:
    return [[match.id for match in matches] for matches in found]


def _scan(store: Store, n: int) -> list[Id]:
    seen: list[Id] = []
    after: Id | None = None
    while batch := store.scan(after=after, n=n):
        assert len(batch) <= n
        seen += [item.id for item in batch]
        after = seen[-1]
    return seen


def _types(value: Any) -> Any:
    if isinstance(value, Mapping):
        return {key: _types(part) for key, part in value.items()}
    return [_types(part) for part in value] if isinstance(value, list) else type(value)


def _as_plain(item: Any) -> tuple[Any, ...]:
    vectors = {name: row.tolist() for name, row in sorted(item.vectors.items())}
    return item.id, item.version, vectors, item.payload


def _together(*works: Any) -> None:
    """Run functions in threads; the first error is raised here."""
    errors: list[BaseException] = []

    def guarded(work: Any) -> None:
        try:
            work()
        except BaseException as error:
            errors.append(error)

    threads = [threading.Thread(target=guarded, args=(work,)) for work in works]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    if errors:
        raise errors[0]
