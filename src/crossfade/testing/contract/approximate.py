"""An approximate search finds nearly all, and never what it must not."""

from __future__ import annotations

import json

import numpy as np
import pytest

from crossfade.embeddings import FloatArray, Space
from crossfade.errors import SpaceMismatch
from crossfade.stores import Draft, Store
from crossfade.stores.recall import measure_recall
from crossfade.testing.contract.collection import Collection
from crossfade.testing.contract.steps import ids_of

__all__ = ["ApproximateContract"]

WIDE, OTHER = Space("wide", 16), Space("other", 2)
ITEMS = 600


class ApproximateContract(Collection):
    """What ``build_index`` and ``exact=False`` promise; stores without an index keep it too."""

    @pytest.fixture
    def indexed(self, store: Store) -> Store:
        """The store with 600 items in clusters, each tenth ``rare``, half with another vector."""
        store.ensure_space(WIDE)
        store.ensure_space(OTHER)
        store.put(
            [
                Draft(
                    id,
                    {WIDE.name: row} | ({OTHER.name: _SECOND} if id % 2 else {}),
                    {"tenth": id % 10 == 0, "number": id},
                )
                for id, row in enumerate(_clusters(ITEMS))
            ]
        )
        store.build_index(WIDE.name)
        return store

    def test_an_approximate_search_finds_nearly_all(self, indexed: Store) -> None:
        measured = measure_recall(indexed, WIDE.name, _clusters(40, seed=1), 10)
        assert measured.recall >= 0.9
        assert (measured.k, measured.queries, measured.items) == (10, 40, ITEMS)
        assert measured.settings == dict(indexed.index_settings(WIDE.name))

    def test_an_exact_search_is_exact_beside_an_index(self, indexed: Store) -> None:
        rows, queries = _clusters(ITEMS), _clusters(20, seed=1)
        best = np.argsort(-(queries @ rows.T), axis=1, kind="stable")[:, :10]
        assert ids_of(indexed.search(WIDE.name, queries, 10)) == best.tolist()

    def test_an_approximate_search_loses_no_hits_to_filters(self, indexed: Store) -> None:
        queries = _clusters(10, seed=1)
        for filter, qualifying in (
            ({"tenth": True}, range(0, ITEMS, 10)),
            ({"number": {"lt": 6}}, range(6)),
            ({"number": 7}, range(7, 8)),
            ({"number": -1}, range(0)),
        ):
            for k in (5, 10):
                found = indexed.search(WIDE.name, queries, k, filter=filter, exact=False)
                assert {len(matches) for matches in found} == {min(k, len(qualifying))}
                assert {id for ids in ids_of(found) for id in ids} <= set(qualifying)

    def test_an_approximate_search_may_leave_out_a_migrated_half(self, indexed: Store) -> None:
        found = indexed.search(WIDE.name, _clusters(10, seed=1), 10, lacks=OTHER.name, exact=False)
        assert {len(matches) for matches in found} == {10}
        assert all(int(id) % 2 == 0 for ids in ids_of(found) for id in ids)

    def test_scores_of_an_approximate_search_are_inner_products(self, indexed: Store) -> None:
        rows, query = _clusters(ITEMS), _clusters(1, seed=1)
        (found,) = indexed.search(WIDE.name, query, 10, exact=False)
        for match in found:
            assert match.score == pytest.approx(float(rows[int(match.id)] @ query[0]), abs=1e-5)
        scores = [match.score for match in found]
        assert scores == sorted(scores, reverse=True)

    def test_what_is_written_after_the_index_was_built_is_found(self, indexed: Store) -> None:
        rows = _clusters(ITEMS)
        indexed.delete(range(0, 100))
        indexed.put([Draft(1000, {WIDE.name: -rows[0]}), Draft(100, {WIDE.name: -rows[1]})])
        queries = np.stack([-rows[0], -rows[1], rows[0]])
        first, second, deleted = ids_of(indexed.search(WIDE.name, queries, 10, exact=False))
        assert first[0] == 1000 and second[0] == 100
        assert not set(deleted) & set(range(100)) and len(deleted) == 10

    def test_an_index_may_be_built_again_and_of_few_items(self, store: Store) -> None:
        store.ensure_space(WIDE)
        rows = _clusters(50)
        store.put([Draft(id, {WIDE.name: row}) for id, row in enumerate(rows)])
        store.build_index(WIDE.name)
        store.build_index(WIDE.name)
        found = ids_of(store.search(WIDE.name, rows, 1, exact=False))
        assert found == [[id] for id in range(50)]

    def test_index_settings_are_plain_data_and_there_after_building(self, indexed: Store) -> None:
        settings = dict(indexed.index_settings(WIDE.name))
        assert bool(settings) == indexed.capabilities.approximate
        assert json.loads(json.dumps(settings)) == settings

    def test_no_index_is_built_of_an_unknown_space(self, store: Store) -> None:
        with pytest.raises(SpaceMismatch):
            store.build_index("unknown")
        with pytest.raises(SpaceMismatch):
            store.index_settings("unknown")


_SECOND = np.array([1.0, 0.0], dtype=np.float32)


def _clusters(n: int, seed: int = 0) -> FloatArray:
    """``(n, 16)`` unit rows around twenty centres, the same for every seed."""
    centres = np.random.default_rng(99).normal(size=(20, WIDE.dim))
    rng = np.random.default_rng(seed)
    rows = centres[rng.integers(20, size=n)] + 0.4 * rng.normal(size=(n, WIDE.dim))
    return np.asarray(rows / np.linalg.norm(rows, axis=1, keepdims=True), dtype=np.float32)
