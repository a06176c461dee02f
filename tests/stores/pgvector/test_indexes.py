"""Approximate searches: which index serves them, and that none loses hits to a filter."""

import numpy as np
import pytest

from crossfade.embeddings import FloatArray, Space, normalise
from crossfade.errors import SpaceMismatch, StoreError
from crossfade.stores import Draft, Item, Store, VectorWrite
from crossfade.stores.pgvector.store import PgvectorStore
from crossfade.testing import PostgresServer

OLD, NEW = Space("old", 16), Space("new", 8)
N = 3000


def rows(n: int, dim: int, seed: int) -> FloatArray:
    return normalise(np.random.default_rng(seed).normal(size=(n, dim)).astype(np.float32))


@pytest.fixture
def full(store: Store) -> PgvectorStore:
    assert isinstance(store, PgvectorStore)
    store.ensure_space(OLD)
    store.ensure_space(NEW)
    old = rows(N, OLD.dim, 0)
    store.put([Draft(id, {"old": row}, {"part": id % 100}) for id, row in enumerate(old)])
    return store


def backfill(store: Store, ids: list[int]) -> None:
    items = [item for item in store.get(ids) if isinstance(item, Item)]
    new = rows(N, NEW.dim, 1)
    store.set_vectors("new", [VectorWrite(one.id, one.version, new[int(one.id)]) for one in items])


def plan(store: PgvectorStore, postgres: PostgresServer, where: str) -> str:
    column = store._read(lambda session: session.columns["old"].column)
    with postgres.connect() as connection:
        connection.execute(f"ANALYZE {store.address.table}")
        vector = str(rows(1, OLD.dim, 5)[0].tolist())
        found = connection.execute(
            f"EXPLAIN SELECT key FROM {store.address.table} WHERE {where} "
            f"ORDER BY {column} <#> '{vector}' LIMIT 10"
        )
        return "\n".join(row[0] for row in found)


def test_an_index_is_built_once_and_described(full: PgvectorStore) -> None:
    assert full.index_settings("old") == {}
    full.build_index("old")
    full.build_index("old")
    full.build_index("old", lacks="new")
    settings = full.index_settings("old")
    assert settings["kind"] == "hnsw" and settings["iterative_scan"] == "strict_order"
    assert isinstance(settings["indexes"], list) and len(settings["indexes"]) == 2
    with pytest.raises(SpaceMismatch):
        full.build_index("unknown")
    with pytest.raises(SpaceMismatch):
        full.index_settings("unknown")


def test_approximate_searches_find_nearly_all_that_exact_ones_find(full: PgvectorStore) -> None:
    full.build_index("old")
    queries = rows(20, OLD.dim, 2)
    exact = full.search("old", queries, 10)
    near = full.search("old", queries, 10, exact=False)
    shared = [
        len({match.id for match in one} & {match.id for match in other})
        for one, other in zip(exact, near, strict=True)
    ]
    assert sum(shared) / 200 > 0.95
    assert exact == full.search("old", queries, 10), "an exact search uses no index"


@pytest.mark.parametrize("k", [1, 10, 30, 100])
def test_a_filter_that_few_rows_pass_loses_no_hits(full: PgvectorStore, k: int) -> None:
    full.build_index("old")
    queries = rows(3, OLD.dim, 3)
    for part in ({"part": 7}, {"part": {"lt": 10}}):
        exact = full.search("old", queries, k, filter=part)
        near = full.search("old", queries, k, filter=part, exact=False)
        assert [len(one) for one in near] == [len(one) for one in exact]


def test_a_backfilled_row_leaves_the_old_side_and_its_index(
    full: PgvectorStore, postgres: PostgresServer
) -> None:
    full.build_index("old", lacks="new")
    column = full._read(lambda session: session.columns["new"].column)
    assert "crossfade_hnsw" in plan(full, postgres, f"{column} IS NULL")
    assert "crossfade_hnsw" not in plan(full, postgres, "TRUE")
    backfill(full, list(range(0, N, 2)))
    (found,) = full.search("old", rows(1, OLD.dim, 4), 50, lacks="new", exact=False)
    assert len(found) == 50 and all(int(match.id) % 2 for match in found)


def test_wide_vectors_are_indexed_in_half_precision_and_rescored(store: Store) -> None:
    wide = Space("wide", 2500)
    store.ensure_space(wide)
    vectors = rows(200, wide.dim, 6)
    store.put([Draft(id, {"wide": row}) for id, row in enumerate(vectors)])
    store.build_index("wide")
    assert store.index_settings("wide")["precision"] == "float16, rescored"
    exact = store.search("wide", vectors[:3], 5)
    assert store.search("wide", vectors[:3], 5, exact=False) == exact


def test_vectors_wider_than_any_index_stay_exact(store: Store) -> None:
    store.ensure_space(Space("huge", 5000))
    with pytest.raises(StoreError, match="stay exact"):
        store.build_index("huge")
    (row,) = rows(1, 5000, 0)
    store.put([Draft(1, {"huge": row})])
    assert [[match.id for match in store.search("huge", row[None], 3, exact=False)[0]]] == [[1]]


def test_an_index_goes_with_its_space(full: PgvectorStore, postgres: PostgresServer) -> None:
    full.build_index("old", lacks="new")
    full.build_index("new")
    full.drop_space("new")
    with postgres.connect() as connection:
        left = connection.execute(
            "SELECT indexname FROM pg_indexes WHERE tablename = %s ORDER BY 1",
            [full.address.table],
        ).fetchall()
    assert [name.rpartition("_")[0] for (name,) in left] == [
        "crossfade_lacking",
        full.address.table,
    ]
    assert full.count(lacks="new") == N
