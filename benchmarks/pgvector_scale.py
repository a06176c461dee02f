"""PostgreSQL with pgvector at scale: how fast a backfill writes, and how long a rollback takes.

    python -m benchmarks.pgvector_scale [--items 100000] [--rows 1000000]

A real server (the package of the tests), started here, with the disk synced at every commit as a
server in use does. Writes benchmarks/results/pgvector_scale.json and .md.

Bulk: a gallery of 256-d vectors. The store's own rate is that of ``set_vectors`` in large
batches, versions known, nothing else done; the backfill, with its own settings, has an encoder
that returns rows that are there already, so that all its time is its queue, reading, its journal
and writing. The two are measured in turn, and the medians compared.

Rollback: every row holds an old and a new vector. The clock runs from the call until the new
column is gone and the old system's answers are the only ones.
"""

from __future__ import annotations

import argparse
import json
import os
import platform
import statistics
import time
from collections.abc import Callable, Iterator, Sequence
from pathlib import Path
from typing import Any

import numpy as np

from crossfade.backfill import Backfill
from crossfade.embeddings import FloatArray, normalise
from crossfade.gallery import Gallery, open_gallery
from crossfade.stores import Draft, Item, Store, VectorWrite, open_store
from crossfade.testing import PostgresServer, make_upgrade

RESULT = Path(__file__).parent / "results" / "pgvector_scale"
DIM = 256
BATCH = 1024
WORKERS = (1, 2)
SERVER = {
    "fsync": "on",
    "full_page_writes": "on",
    "shared_buffers": "512MB",
    "max_wal_size": "8GB",
    "autovacuum_naptime": "60s",
}


def some_rows(n: int, seed: int) -> FloatArray:
    """Random unit vectors."""
    return normalise(np.random.default_rng(seed).normal(size=(n, DIM)).astype(np.float32))


def batches(n: int) -> Iterator[range]:
    """Of row numbers."""
    for start in range(0, n, BATCH):
        yield range(start, min(start + BATCH, n))


def timed(work: Callable[[], Any]) -> float:
    """Seconds that it takes."""
    start = time.perf_counter()
    work()
    return time.perf_counter() - start


def open_at(server: PostgresServer, table: str) -> Gallery:
    """A new gallery of 256-d vectors on both sides."""
    upgrade = make_upgrade(dim_old=DIM, dim_new=DIM, rho=False)
    return open_gallery(open_store(server.uri(table=table)), upgrade)


def fill(store: Store, n: int, vectors: dict[str, FloatArray]) -> None:
    """Items 0 to n - 1; the rows of each space are used again and again."""
    for part in batches(n):
        store.put(
            [
                Draft(id, {name: rows[id % len(rows)] for name, rows in vectors.items()}, {"n": id})
                for id in part
            ]
        )


def measure_bulk(server: PostgresServer, items: int, repeats: int) -> dict[str, Any]:
    """Rates of put, of set_vectors and of a backfill, items a second."""
    old, new = some_rows(items, 0), some_rows(items, 1)
    rates: dict[str, list[float]] = {"put": [], "set_vectors": []}
    rates |= {f"backfill, {n} workers": [] for n in WORKERS}
    for turn in range(repeats):
        gallery = open_at(server, f"bulk_{turn}")
        store, stored = gallery.store, gallery.upgrade.stored
        seconds = timed(lambda store=store: fill(store, items, {"old": old}))
        rates["put"].append(items / seconds)
        writes = [
            [
                VectorWrite(item.id, item.version, new[int(item.id)])
                for item in store.get(list(part))
                if item is not None
            ]
            for part in batches(items)
        ]

        def write(store: Store = store, writes: Any = writes, name: str = stored.name) -> None:
            for batch in writes:
                store.set_vectors(name, batch)

        rates["set_vectors"].append(items / timed(write))
        gallery.close()

        for workers in WORKERS:
            rate = measure_backfill(server, f"backfilled_{turn}_{workers}", old, new, workers)
            rates[f"backfill, {workers} workers"].append(rate)
    medians = {name: statistics.median(all_of) for name, all_of in rates.items()}
    return {
        "items": items,
        "dim": DIM,
        "batch": BATCH,
        "items_a_second": medians,
        "runs": rates,
        "backfill_to_set_vectors": {
            str(n): medians[f"backfill, {n} workers"] / medians["set_vectors"] for n in WORKERS
        },
    }


def measure_backfill(
    server: PostgresServer, table: str, old: FloatArray, new: FloatArray, workers: int
) -> float:
    """Items a second of a whole backfill, its queue included."""
    gallery = open_at(server, table)
    fill(gallery.store, len(old), {"old": old})

    def encode(batch: Sequence[Item]) -> FloatArray:
        return new[: len(batch)]

    job = Backfill(gallery, encoder=encode)
    seconds = timed(lambda: job.run(workers=workers))
    if gallery.coverage != 1.0:
        raise RuntimeError(f"coverage is {gallery.coverage} after a backfill")
    gallery.close()
    return len(old) / seconds


def measure_rollback(server: PostgresServer, rows: int) -> dict[str, Any]:
    """Seconds of a rollback, and of counting before it."""
    gallery = open_at(server, "rolled_back")
    store, upgrade = gallery.store, gallery.upgrade
    # The old system's rows first, so that its answers are known.
    filled = timed(
        lambda: fill(
            store,
            rows,
            {"old": some_rows(10_000, 2), upgrade.stored.name: some_rows(10_000, 3)},
        )
    )
    queries = some_rows(2, 4)

    def old_answers() -> Any:
        return gallery.search(None, 10, query_old=queries, mode="old")

    before = old_answers()
    counts = {
        "all": timed(store.count),
        "has new": timed(lambda: store.count(has=upgrade.stored.name)),
        "lacks new": timed(lambda: store.count(lacks=upgrade.stored.name)),
        "has old, lacks new": timed(lambda: store.count(has="old", lacks=upgrade.stored.name)),
    }
    seconds = timed(Backfill(gallery, encoder=lambda _: queries).rollback)
    if old_answers() != before:
        raise RuntimeError("the old system's answers have changed")
    gallery.close()
    return {
        "rows": rows,
        "dim": DIM,
        "fill_seconds": filled,
        "rollback_seconds": seconds,
        "count_seconds": counts,
    }


def report(bulk: dict[str, Any], rollback: dict[str, Any], machine: str) -> str:
    """Both as Markdown."""
    rates = bulk["items_a_second"]
    counts = ", ".join(f"{name} {value:.2f} s" for name, value in rollback["count_seconds"].items())
    backfills = "\n".join(
        f"| whole backfill, encoder does nothing, {n} worker{'s' * (n > 1)} | "
        f"{rates[f'backfill, {n} workers']:,.0f} items/s, "
        f"{bulk['backfill_to_set_vectors'][str(n)]:.0%} of `set_vectors` |"
        for n in WORKERS
    )
    return f"""# PostgreSQL with pgvector at scale

Made by `python -m benchmarks.pgvector_scale`; {machine}. The server, its client and other work
shared the machine. Medians of {len(bulk["runs"]["put"])} runs.

| what | measured |
| --- | --- |
| `put`, {bulk["items"]:,} items of {DIM}-d, batches of {BATCH} | {rates["put"]:,.0f} items/s |
| `set_vectors`, the store's own bulk rate | {rates["set_vectors"]:,.0f} items/s |
{backfills}
| rollback of {rollback["rows"]:,} rows | {rollback["rollback_seconds"]:.2f} s |
| counts at {rollback["rows"]:,} rows, just filled | {counts} |
"""


def main() -> None:
    """Measure, write, print."""
    parser = argparse.ArgumentParser()
    parser.add_argument("--items", type=int, default=100_000)
    parser.add_argument("--rows", type=int, default=1_000_000)
    parser.add_argument("--repeats", type=int, default=3)
    given = parser.parse_args()
    machine = f"{platform.system()} {platform.machine()}, {os.cpu_count()} cores, PostgreSQL 18"
    load = os.getloadavg()[0]
    with PostgresServer(**SERVER) as server:
        bulk = measure_bulk(server, given.items, given.repeats)
        print(json.dumps(bulk, indent=2))
        rollback = measure_rollback(server, given.rows)
    found = {"machine": machine, "load": load, "bulk": bulk, "rollback": rollback}
    RESULT.with_suffix(".json").write_text(json.dumps(found, indent=2) + "\n")
    text = report(bulk, rollback, f"{machine}, load average {load:.1f} at the start")
    RESULT.with_suffix(".md").write_text(text)
    print(text)


if __name__ == "__main__":
    main()
