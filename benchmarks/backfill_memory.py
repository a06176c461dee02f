"""How much memory a job takes, by the size of the gallery: it should not matter.

    python -m benchmarks.backfill_memory [--items 100000 1000000] [--order random]

The store is taken out of the picture: one that makes its items up as they are read, and keeps one
bit of each, whether it holds its new vector. What is left is the job: scanning, the order, the
queue on disk, leases, batches. Each size has a process of its own, whose peak of resident memory
the system reports. Results: ``benchmarks/results/backfill_memory.json`` and ``.md``.
"""

from __future__ import annotations

import argparse
import json
import resource
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterable, Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np

from crossfade.backfill import Backfill, JobState
from crossfade.embeddings import FloatArray, Space
from crossfade.gallery import open_gallery
from crossfade.stores import (
    Capabilities,
    Draft,
    Filter,
    Id,
    Item,
    Match,
    Outcome,
    Store,
    VectorWrite,
)
from crossfade.testing import make_upgrade

RESULTS = Path(__file__).parent / "results"
DIM = 64
TOLERANCE = 1.10
_OLD = Space("old", DIM)


class MadeUpStore(Store):
    """Items 0 to n - 1, all with an old vector; a bit says which hold the new one."""

    capabilities = Capabilities("made-up", True, False, False, None)

    def __init__(self, items: int, folder: Path) -> None:
        self._folder = folder
        self._spaces = {_OLD.name: _OLD}
        self._pointers: dict[str, str] = {}
        self._moved = np.zeros((items + 7) // 8, dtype=np.uint8)
        self._items = items
        self._count = 0
        self._old = np.eye(DIM, dtype=np.float32)[0]

    @property
    def folder(self) -> Path:
        return self._folder

    def spaces(self) -> Mapping[str, Space]:
        return dict(self._spaces)

    def ensure_space(self, space: Space) -> None:
        self._spaces[space.name] = space

    def drop_space(self, name: str) -> None:
        del self._spaces[name]

    def put(self, drafts: Sequence[Draft]) -> None:
        raise NotImplementedError

    def set_vectors(self, space: str, writes: Sequence[VectorWrite]) -> list[Outcome]:  # noqa: ARG002
        for write in writes:
            assert isinstance(write.id, int) and not self._is_moved(write.id)
            self._moved[write.id >> 3] |= 1 << (write.id & 7)
            self._count += 1
        return [Outcome.APPLIED] * len(writes)

    def delete(self, ids: Iterable[Id]) -> int:
        raise NotImplementedError

    def get(self, ids: Sequence[Id], *, vectors: Sequence[str] = ()) -> list[Item | None]:
        return [self._item(int(id), vectors) for id in ids]

    def search(
        self,
        space: str,
        queries: FloatArray,
        k: int,
        *,
        lacks: str | None = None,
        filter: Filter | None = None,
        exact: bool = True,
    ) -> list[list[Match]]:
        raise NotImplementedError

    def scan(
        self,
        *,
        after: Id | None = None,
        n: int,
        lacks: str | None = None,
        vectors: Sequence[str] = (),
        payload: bool = True,  # noqa: ARG002 - they are small
    ) -> list[Item]:
        found: list[Item] = []
        row = -1 if after is None else int(after)
        while len(found) < n and (row := row + 1) < self._items:
            if lacks == _OLD.name or not self._is_moved(row):
                found.append(self._item(row, vectors))
        return found

    def count(self, *, has: str | None = None, lacks: str | None = None) -> int:
        if has == _OLD.name and lacks is None:
            return self._items
        if lacks is not None:
            return self._items - self._count
        return self._items if has is None else self._count

    def read_pointer(self, name: str) -> str | None:
        return self._pointers.get(name)

    def swap_pointer(self, name: str, expect: str | None, value: str | None) -> bool:
        if self._pointers.get(name) != expect or value is None:
            return False
        self._pointers[name] = value
        return True

    def flush(self) -> None:
        """Nothing survives."""

    def close(self) -> None:
        """Nothing is open."""

    def _is_moved(self, row: int) -> bool:
        return bool(self._moved[row >> 3] >> (row & 7) & 1)

    def _item(self, row: int, vectors: Sequence[str]) -> Item:
        held = {name: self._old for name in vectors if name == _OLD.name or self._is_moved(row)}
        return Item(row, row + 1, held, {"text": f"what item {row} is about"})


def measure(items: int, order: str) -> dict[str, Any]:
    """One job, in this process."""
    new = np.eye(DIM, dtype=np.float32)[1]
    before = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024
    started = time.perf_counter()
    with tempfile.TemporaryDirectory() as folder:
        store = MadeUpStore(items, Path(folder))
        upgrade = make_upgrade("query", dim_old=DIM, dim_new=DIM, rho=False)
        gallery = open_gallery(store, upgrade)
        job = Backfill(gallery, lambda batch: np.tile(new, (len(batch), 1)), order=order)
        status = job.run()
        assert (status.state, status.done) == (JobState.COMPLETE, items), status
    peak = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024
    return {
        "items": items,
        "order": order,
        "before_mib": round(before, 1),
        "peak_mib": round(peak, 1),
        "seconds": round(time.perf_counter() - started),
    }


def main() -> None:
    """Measure each size in a process of its own, and compare."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--items", type=int, nargs="+", default=[100_000, 1_000_000])
    parser.add_argument("--order", default="random")
    parser.add_argument("--here", action="store_true", help="measure one size in this process")
    parser.add_argument("--dry", action="store_true", help="write no result")
    asked = parser.parse_args()
    if asked.here:
        print(json.dumps(measure(asked.items[0], asked.order)))
        return
    found = []
    for items in asked.items:
        command = [sys.executable, "-m", "benchmarks.backfill_memory", "--here"]
        command += ["--items", str(items), "--order", asked.order]
        answer = subprocess.run(command, check=True, capture_output=True, text=True)
        found.append(json.loads(answer.stdout.splitlines()[-1]))
        print(found[-1])
    if not asked.dry:
        write(found)
    if found[-1]["peak_mib"] > TOLERANCE * found[0]["peak_mib"]:
        raise SystemExit("the peak grows with the gallery")


def write(found: Sequence[Mapping[str, Any]]) -> None:
    """As JSON and as a table."""
    text = json.dumps(found, indent=2)
    (RESULTS / "backfill_memory.json").write_text(text + "\n", encoding="utf-8")
    lines = [
        "# Peak memory of a job",
        "",
        "Resident memory of a process that backfills a gallery of made-up items, without any "
        "store's own memory. "
        "Written by `python -m benchmarks.backfill_memory`.",
        "",
        "| items | order | before the job (MiB) | peak (MiB) |",
        "|---|---|---|---|",
    ]
    lines += [
        f"| {one['items']:,} | {one['order']} | {one['before_mib']} | **{one['peak_mib']}** |"
        for one in found
    ]
    (RESULTS / "backfill_memory.md").write_text("\n".join(lines) + "\n", encoding="utf-8")


if __name__ == "__main__":
    main()
