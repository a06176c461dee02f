"""Recall and speed of every store's approximate index on the same clustered vectors.

    python -m benchmarks.store_recall

Writes benchmarks/results/store_recall.md: 24,000 vectors of 256 dimensions around 400 centres,
200 queries of the same kind, k = 10. A server of Qdrant is not among them: none was to be had.
"""

from __future__ import annotations

import os
import platform
import tempfile
import time
from collections.abc import Callable
from pathlib import Path

import numpy as np

from crossfade.embeddings import FloatArray, Space
from crossfade.stores import Draft, Store, measure_recall, open_store
from crossfade.testing import PostgresServer

RESULT = Path(__file__).parent / "results" / "store_recall.md"
ITEMS, QUERIES, DIM, CENTRES, K = 24_000, 200, 256, 400, 10
SPACE = Space("old", DIM)


def clustered(n: int, seed: int) -> FloatArray:
    """``(n, d)`` unit rows around the same centres for every seed."""
    centres = np.random.default_rng(99).normal(size=(CENTRES, DIM))
    rng = np.random.default_rng(seed)
    rows = centres[rng.integers(CENTRES, size=n)] + 0.8 * rng.normal(size=(n, DIM))
    return np.asarray(rows / np.linalg.norm(rows, axis=1, keepdims=True), dtype=np.float32)


def milliseconds(work: Callable[[FloatArray], object], queries: FloatArray) -> float:
    """Of one query at a time, the median."""
    taken = []
    for query in queries[:50]:
        start = time.perf_counter()
        work(query[None])
        taken.append(time.perf_counter() - start)
    return 1000 * float(np.median(taken))


def row(name: str, store: Store) -> str:
    """A line of the table."""
    queries = clustered(QUERIES, seed=1)
    with store:
        store.ensure_space(SPACE)
        rows = clustered(ITEMS, seed=0)
        for start in range(0, ITEMS, 2_000):
            store.put([Draft(n, {"old": rows[n]}) for n in range(start, start + 2_000)])
        begun = time.perf_counter()
        store.build_index("old")
        built = time.perf_counter() - begun
        recall = measure_recall(store, "old", queries, K)
        exact = milliseconds(lambda query: store.search("old", query, K), queries)
        fast = milliseconds(lambda query: store.search("old", query, K, exact=False), queries)
    settings = ", ".join(f"{key} {value}" for key, value in recall.settings.items())
    return (
        f"| `{name}` | {settings} | {built:.1f} | {recall.recall:.3f} | {exact:.1f} | {fast:.1f} |"
    )


def main() -> None:
    """Measure all stores and write the table."""
    with tempfile.TemporaryDirectory() as folder, PostgresServer() as postgres:
        uris = {
            "faiss, hnsw": f"faiss://{folder}/hnsw",
            "faiss, ivf": f"faiss://{folder}/ivf?index=ivf",
            "lancedb": f"lancedb://{folder}/lance",
            "postgresql": postgres.uri(table="recall"),
            "qdrant": f"qdrant://{folder}/qdrant",
        }
        lines = [row(name, open_store(uri)) for name, uri in uris.items()]
    RESULT.write_text(
        "# Approximate search: recall and speed\n\n"
        f"Made by `python -m benchmarks.store_recall`: {ITEMS:,} clustered vectors of {DIM} "
        f"dimensions, {QUERIES} queries, k = {K}; Python {platform.python_version()}, "
        f"{platform.system()} {platform.machine()}, {os.cpu_count()} cores, which others used at "
        "the same time: times are noisy. Milliseconds are the median of one query at a time.\n\n"
        "| store | index | build, s | recall | exact, ms | approximate, ms |\n"
        "| --- | --- | --- | --- | --- | --- |\n" + "\n".join(lines) + "\n"
    )


if __name__ == "__main__":
    main()
