"""How fast the worker moves items, against the store's own bulk write in the same run.

    python -m benchmarks.backfill_rate [--items 100000] [--rounds 9] [--workers 1]
        [--uri SCHEME://LOCATION | --uri postgresql]

``--uri postgresql`` starts a server of its own, with fsync on and a buffer of 1 GB.

The bulk write puts items with one vector and a small payload in large batches, flushes once at
the end, and does nothing else. The backfill begins a job on as many items, in random order, with
an encoder that only looks its answer up, and ends when the job is complete: filling the queue,
leases, reads, conditional writes, flushes and journal included. Rounds take turns, so that a
busy machine slows both down; a round before them warms up the store and does not count: a new
PostgreSQL server first makes files and buffers that it later uses again. The processor's time of
this process is compared as well, on which others have less influence. Results:
``benchmarks/results/backfill_rate.json`` and ``.md``.
"""

from __future__ import annotations

import argparse
import json
import os
import platform
import tempfile
import time
from collections.abc import Sequence
from contextlib import ExitStack
from dataclasses import dataclass
from pathlib import Path
from statistics import median

import numpy as np

from crossfade.backfill import Backfill, JobState
from crossfade.embeddings import FloatArray, normalise
from crossfade.gallery import open_gallery
from crossfade.stores import Draft, Item, open_store
from crossfade.testing import PostgresServer, make_upgrade

RESULTS = Path(__file__).parent / "results"
DIM = 256
BULK_ROWS = 2048
FLOOR = 0.6
_SERVER = {"fsync": "on", "full_page_writes": "on", "shared_buffers": "1GB", "max_wal_size": "8GB"}


@dataclass(frozen=True)
class Rate:
    """Items a second, of the clock and of the processor's time."""

    wall: float
    cpu: float


class Stopwatch:
    """Started when it is made."""

    def __init__(self) -> None:
        self._wall, self._cpu = time.perf_counter(), time.process_time()

    def rate(self, items: int) -> Rate:
        """Of so many items since."""
        return Rate(
            items / (time.perf_counter() - self._wall), items / (time.process_time() - self._cpu)
        )


def bulk_rate(uri: str, old: FloatArray) -> Rate:
    """The store's own bulk write into a new collection."""
    with open_store(uri) as store:
        space = make_upgrade(dim_old=DIM, dim_new=DIM, rho=False).source
        store.ensure_space(space)
        watch = Stopwatch()
        for start in range(0, len(old), BULK_ROWS):
            rows = range(start, min(start + BULK_ROWS, len(old)))
            store.put([Draft(row, {space.name: old[row]}, {"row": row}) for row in rows])
        store.flush()
        return watch.rate(len(old))


def backfill_rate(uri: str, old: FloatArray, batch_size: int, workers: int) -> Rate:
    """A whole job on a gallery that holds old vectors."""
    upgrade = make_upgrade("query", dim_old=DIM, dim_new=DIM, rho=False)

    def encode(items: Sequence[Item]) -> FloatArray:
        return old[[item.payload["row"] for item in items]]

    with open_gallery(uri, upgrade) as gallery:
        gallery.upsert(range(len(old)), old=old, payload=[{"row": n} for n in range(len(old))])
        gallery.store.flush()
        job = Backfill(gallery, encode, batch_size=batch_size)
        watch = Stopwatch()
        status = job.run(workers=workers)
        rate = watch.rate(len(old))
        assert (status.state, status.done) == (JobState.COMPLETE, len(old))
        return rate


def measure(uri: str, items: int, rounds: int, batch_size: int, workers: int) -> dict[str, object]:
    """All rounds; ``{}`` in the URI is replaced by a name of its own for each collection."""
    old = normalise(np.random.default_rng(0).normal(size=(items, DIM)))
    bulk: list[Rate] = []
    backfill: list[Rate] = []
    for number in range(rounds + 1):
        bulk.append(bulk_rate(uri.format(f"bulk{number}"), old))
        backfill.append(backfill_rate(uri.format(f"backfill{number}"), old, batch_size, workers))
        print(
            f"round {number or '0, to warm up'}: bulk {bulk[-1].wall:,.0f}/s, "
            f"backfill {backfill[-1].wall:,.0f}/s"
        )
    del bulk[0], backfill[0]
    return {
        "store": uri.partition(":")[0],
        "items": items,
        "dim": DIM,
        "batch_size": batch_size,
        "workers": workers,
        "bulk_items_per_second": [round(rate.wall) for rate in bulk],
        "backfill_items_per_second": [round(rate.wall) for rate in backfill],
        "ratio": round(median(b.wall / a.wall for a, b in zip(bulk, backfill, strict=True)), 3),
        "cpu_ratio": round(median(b.cpu / a.cpu for a, b in zip(bulk, backfill, strict=True)), 3),
        "load_average": round(os.getloadavg()[0], 1),
        "floor": FLOOR,
        "machine": f"{platform.machine()}, Python {platform.python_version()}",
    }


def write(results: dict[str, dict[str, object]]) -> None:
    """The results of all stores measured so far, as JSON and as a table."""
    text = json.dumps(results, indent=2, sort_keys=True)
    (RESULTS / "backfill_rate.json").write_text(text + "\n", encoding="utf-8")
    lines = [
        "# Backfill rate against bulk write",
        "",
        "Items a second of 256-d, no-op encoder; one number a round. "
        "Written by `python -m benchmarks.backfill_rate`.",
        "",
        "The load average is that at the end: about two of it are the benchmark's own.",
        "",
        "| store | workers | items | batch | bulk write | backfill | ratio (median) | floor "
        "| ratio of processor time | load |",
        "|---|---|---|---|---|---|---|---|---|---|",
    ]
    for _, found in sorted(results.items()):
        bulk, moved = (
            ", ".join(f"{rate:,}" for rate in found[key])  # type: ignore[attr-defined]
            for key in ("bulk_items_per_second", "backfill_items_per_second")
        )
        lines.append(
            f"| `{found['store']}://` | {found['workers']} | {found['items']:,} "
            f"| {found['batch_size']} | {bulk} | {moved} | "
            f"**{found['ratio']}** | {found['floor']} | {found['cpu_ratio']} | "
            f"{found['load_average']} |"
        )
    (RESULTS / "backfill_rate.md").write_text("\n".join(lines) + "\n", encoding="utf-8")


def main() -> None:
    """Measure one store and add it to the results."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--items", type=int, default=100_000)
    parser.add_argument("--rounds", type=int, default=9)
    parser.add_argument("--batch-size", type=int, default=64)
    parser.add_argument("--workers", type=int, default=1)
    parser.add_argument("--uri", help="with {} for the collection; by default qdrant in a folder")
    parser.add_argument("--dry", action="store_true", help="write no result")
    asked = parser.parse_args()
    with ExitStack() as stack:
        folder = stack.enter_context(tempfile.TemporaryDirectory())
        uri = asked.uri or f"qdrant://{folder}/{{}}"
        if uri == "postgresql":
            server = stack.enter_context(PostgresServer(**_SERVER))
            uri = server.uri(table="{}")
        found = measure(uri, asked.items, asked.rounds, asked.batch_size, asked.workers)
    print(json.dumps(found, indent=2))
    if asked.dry:
        return
    path = RESULTS / "backfill_rate.json"
    known = json.loads(path.read_text(encoding="utf-8")) if path.exists() else {}
    write({**known, f"{found['store']}, {asked.workers} workers": found})
    if float(str(found["ratio"])) < FLOOR:
        raise SystemExit(f"the backfill reaches {found['ratio']} of the bulk write, below {FLOOR}")


if __name__ == "__main__":
    main()
