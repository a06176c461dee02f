"""An exact search finds what is closest, ties by id, and filters mean what they mean."""

from __future__ import annotations

import numpy as np
import pytest

from crossfade.errors import InvalidInput, SpaceMismatch
from crossfade.stores import Draft, Match, Store, id_order
from crossfade.stores.filters import matches
from crossfade.testing.contract.collection import Collection
from crossfade.testing.contract.steps import draft, ids_of, items_of
from crossfade.testing.contract.values import (
    AWKWARD_IDS,
    BAD_FILTERS,
    FILTERS,
    NEW,
    OLD,
    PAYLOADS,
    axis,
)

__all__ = ["SearchingContract"]


class SearchingContract(Collection):
    """An exact search finds what is closest, ties by id, and filters mean what they mean."""

    def test_search_finds_the_closest_with_their_versions(self, store: Store) -> None:
        store.put([draft(id, old=id) for id in range(4)])
        ((first, *rest),) = store.search(OLD.name, axis(2)[None], 4)
        assert first == Match(2, items_of(store, [2])[0].version, 1.0)
        assert [match.id for match in rest] == [0, 1, 3]

    def test_ties_are_in_order_of_id_also_at_the_cut(self, store: Store) -> None:
        store.put([draft(id, old=0) for id in reversed(AWKWARD_IDS)])
        in_order = sorted(AWKWARD_IDS, key=id_order)
        for k in range(1, len(in_order) + 3):
            assert ids_of(store.search(OLD.name, axis(0)[None], k)) == [in_order[:k]]

    def test_k_may_be_larger_than_the_gallery(self, store: Store) -> None:
        store.put([draft(id, old=id) for id in range(3)])
        assert len(store.search(OLD.name, axis(0)[None], 10**9)[0]) == 3

    def test_only_items_with_a_vector_of_the_space_are_found(self, store: Store) -> None:
        store.put([draft(1, old=0), draft(2, new=0), Draft(3)])
        assert ids_of(store.search(OLD.name, axis(0)[None], 5)) == [[1]]
        assert ids_of(store.search(NEW.name, axis(0, NEW)[None], 5)) == [[2]]

    def test_lacks_leaves_out_items_with_the_other_vector(self, store: Store) -> None:
        store.put([draft(1, old=0, new=0), draft(2, old=0), draft(3, new=0)])
        assert ids_of(store.search(OLD.name, axis(0)[None], 5, lacks=NEW.name)) == [[2]]
        assert ids_of(store.search(OLD.name, axis(0)[None], 5, lacks="unknown")) == [[1, 2]]

    def test_every_query_gets_its_own_list(self, store: Store) -> None:
        store.put([draft(id, old=id) for id in range(4)])
        queries = np.stack([axis(row % 4) for row in range(9)])
        found = store.search(OLD.name, queries, 1)
        assert ids_of(found) == [[row % 4] for row in range(9)]
        assert store.search(OLD.name, np.empty((0, 4), np.float32), 3) == []

    def test_an_empty_collection_finds_nothing(self, store: Store) -> None:
        assert store.search(OLD.name, np.stack([axis(0), axis(1)]), 3) == [[], []]

    def test_what_is_written_after_an_empty_search_is_found(self, store: Store) -> None:
        assert ids_of(store.search(NEW.name, axis(0, NEW)[None], 5)) == [[]]
        store.put([draft(1, new=0)])
        assert ids_of(store.search(NEW.name, axis(0, NEW)[None], 5)) == [[1]]

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
        store.put([draft(id, old=id, payload=one) for id, one in enumerate(PAYLOADS)])
        for filter in FILTERS:
            expected = [id for id, payload in enumerate(PAYLOADS) if matches(filter, payload)]
            (found,) = store.search(OLD.name, axis(0)[None], 100, filter=filter)
            assert sorted(match.id for match in found) == expected, filter

    def test_a_filter_of_another_form_is_refused(self, store: Store) -> None:
        for filter in BAD_FILTERS:
            with pytest.raises(InvalidInput):
                store.search(OLD.name, axis(0)[None], 3, filter=filter)

    def test_a_rare_match_is_found_however_far_it_is(self, store: Store) -> None:
        store.put([draft(id, old=0) for id in range(300)])
        store.put([draft(1000 + id, old=-1, payload={"rare": True}) for id in range(3)])
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
