"""What either costs in the embedded store: bytes, writes, queries."""

from __future__ import annotations

import tempfile
import time
from collections.abc import Callable
from functools import partial
from pathlib import Path
from typing import Any

import numpy as np
import qdrant_edge as edge

from benchmarks.at_rest.task import FACTORS, K, Task
from crossfade.embeddings import FloatArray, normalise
from crossfade.gallery.prepare import map_old_vectors
from crossfade.stores import Draft, Match, Store, open_store

__all__ = ["measure_costs"]

_ITEMS, _QUERIES, _BATCH = 10_000, 100, 1_024


def measure_costs(task: Task) -> dict[str, Any]:
    """Seconds in the embedded store, of items of the gallery and of the pairs."""
    others = np.flatnonzero(~np.isin(task.data.fit.ids, task.gallery.ids))
    old = np.concatenate([task.gallery.old_rows(), task.data.fit.old_rows(others)])[:_ITEMS]
    with tempfile.TemporaryDirectory() as folder:
        return {
            "items": len(old),
            "bytes": _bytes(task),
            **_write_costs(task, old, Path(folder)),
        }


def _bytes(task: Task) -> dict[str, int]:
    """What an item's vector, or number, is in float32."""
    d_old, d_new = task.data.gallery.source.dim, task.data.gallery.target.dim
    return {"at_rest": 4 * d_new, "narrow": 4 * min(d_new, d_old + 1), "length": 4}


def _write_costs(task: Task, old: FloatArray, folder: Path) -> dict[str, Any]:
    upgrade, reverse = task.upgrade, task.reverse
    assert upgrade.mapped is not None
    source, space = upgrade.source.name, upgrade.mapped.name
    uri = f"qdrant://{folder / 'store'}"
    micro = 1e6 / len(old)
    map_seconds = _seconds(lambda: upgrade.map_items(old))
    length_seconds = _seconds(lambda: reverse.lengths(old))
    lengths = reverse.lengths(old)
    with open_store(uri) as store:
        store.ensure_space(upgrade.source)
        put_seconds = _seconds(lambda: _put(store, source, old, None))
        store.ensure_space(upgrade.mapped)
        rest_seconds = _seconds(lambda: map_old_vectors(store, upgrade, space))
        at_rest = _query_costs(task, store, space)
        again_seconds = _seconds(lambda: _put(store, source, old, lengths))
        at_query = _reverse_query_costs(task, store, source)
    payload_seconds = _payload_seconds(folder, lengths)
    return {
        "put_again_us": round(again_seconds * micro, 1),
        "put_us": round(put_seconds * micro, 1),
        "map_us": round(map_seconds * micro, 2),
        "map_and_write_us": round(rest_seconds * micro, 1),
        "length_us": round(length_seconds * micro, 2),
        "payload_us": round(payload_seconds * micro, 1),
        "query_ms": {"at_rest": at_rest, **at_query},
    }


def _put(store: Store, source: str, old: FloatArray, lengths: FloatArray | None) -> None:
    """Write whole items, with their number if there is one."""
    for start in range(0, len(old), _BATCH):
        rows = range(start, min(start + _BATCH, len(old)))
        store.put(
            [
                Draft(
                    row,
                    {source: old[row]},
                    {"row": row} | ({} if lengths is None else {"length": float(lengths[row])}),
                )
                for row in rows
            ]
        )
    store.flush()


def _payload_seconds(folder: Path, lengths: FloatArray) -> float:
    """One number an item by the engine itself: an operation each, since each is another."""
    shard = edge.EdgeShard.load(str(next((folder / "store").rglob("edge_config.json")).parent))
    try:

        def write() -> None:
            for row, length in enumerate(lengths.tolist()):
                shard.update(edge.UpdateOperation.set_payload([row], {"length": length}))
            shard.flush()

        return _seconds(write)
    finally:
        shard.close()


def _query_costs(task: Task, store: Store, space: str) -> float:
    queries = task.queries.new_rows(np.arange(min(len(task.queries), _QUERIES)))
    return _milliseconds(lambda query: store.search(space, query, K), queries)


def _reverse_query_costs(task: Task, store: Store, source: str) -> dict[str, Any]:
    """By factor: with the stored number, and with it computed from the fetched old vectors."""
    queries = task.queries.new_rows(np.arange(min(len(task.queries), _QUERIES)))
    reverse = task.reverse

    def search(k: int, read: Callable[[list[Match]], FloatArray], query: FloatArray) -> object:
        back, constant = reverse.queries(query), reverse.constants(query)
        (found,) = store.search(source, normalise(back), k)
        undivided = np.array([match.score for match in found]) * np.linalg.norm(back)
        return np.argsort(-(undivided + constant[0, 0]) / read(found))[:K]

    def stored(found: list[Match]) -> FloatArray:
        items = store.get([match.id for match in found])
        return np.array([item.payload["length"] for item in items if item], dtype=np.float32)

    def computed(found: list[Match]) -> FloatArray:
        items = store.get([match.id for match in found], vectors=[source])
        return reverse.lengths(np.stack([item.vectors[source] for item in items if item]))

    return {
        name: {
            str(factor): _milliseconds(partial(search, K * factor, read), queries)
            for factor in FACTORS
        }
        for name, read in (("stored", stored), ("computed", computed))
    }


def _seconds(work: Callable[[], object]) -> float:
    start = time.perf_counter()
    work()
    return time.perf_counter() - start


def _milliseconds(work: Callable[[FloatArray], object], queries: FloatArray) -> float:
    """Of one query at a time, the median."""
    taken = [_seconds(lambda query=query: work(query[None])) for query in queries]  # type: ignore[misc]
    return round(1000 * float(np.median(taken)), 2)
