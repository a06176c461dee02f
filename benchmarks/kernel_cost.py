"""What a kernel map costs beside a ridge, at its largest: to fit, to teach, to map items, to keep.

    python -m benchmarks.kernel_cost [--dims 384 384]

20,000 pairs and 40,000 backfilled items, as a job fits it again; 10,000 landmarks. 2,000 recorded
queries teach it by 5,000 pairs that its maps left out, a ridge by 5,000 backfilled items. Items
are mapped 1,024 at a time, as a rewrite does, and alone, as a live write does. Vectors are random:
time depends on their number and width. Results: ``benchmarks/results/kernel_cost.json`` and
``.md``.
"""

from __future__ import annotations

import argparse
import json
import platform
import resource
import time
from collections.abc import Callable
from pathlib import Path

import numpy as np

from crossfade.embeddings import FloatArray, Pairs, QueryLog, normalise
from crossfade.fit.api import fit
from crossfade.upgrade import (
    MOST_LANDMARKS,
    Moments,
    Transform,
    queries_to_teach,
    residual_kernel,
    taught_offset,
    turned_ridge_map,
)

RESULTS = Path(__file__).parent / "results"
ROWS, PAIRS, QUERIES, BATCH = 60_000, 10_000, 2_000, 1_024


def main() -> None:
    """Measure, and write the page."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--dims", type=int, nargs=2, default=(384, 384), metavar=("OLD", "NEW"))
    found = measure(*parser.parse_args().dims)
    text = json.dumps(found, indent=2, sort_keys=True)
    print(text)
    (RESULTS / "kernel_cost.json").write_text(text + "\n", encoding="utf-8")
    (RESULTS / "kernel_cost.md").write_text(page(found), encoding="utf-8")


def measure(dim_old: int, dim_new: int) -> dict[str, object]:
    """All costs; memory is the peak's growth while the kernel map is fitted."""
    rng = np.random.default_rng(0)
    old = normalise(rng.normal(size=(ROWS, dim_old)))
    new = normalise(rng.normal(size=(ROWS, dim_new)))
    started = time.perf_counter()
    skip = turned_ridge_map(Moments.of(old, new), None, 0.25)
    ridge_seconds = time.perf_counter() - started
    before = _peak_mib()
    started = time.perf_counter()
    kernel = residual_kernel(old, new, skip, np.arange(MOST_LANDMARKS))
    kernel_seconds = time.perf_counter() - started
    grown = _peak_mib() - before
    ridge, both = Transform(skip), Transform(skip, kernel=kernel)
    return {
        "dims": [dim_old, dim_new],
        "fit_seconds": {"ridge": round(ridge_seconds, 2), "kernel": round(kernel_seconds, 1)},
        "fit_mib": round(grown),
        "teach_seconds": {
            name: round(_seconds_to_teach(f"refitted_{name}", old, new), 1)
            for name in ("ridge", "kernel")
        },
        "item_milliseconds": {
            "ridge": round(_milliseconds(ridge, old[:BATCH]) / BATCH, 4),
            "kernel": round(_milliseconds(both, old[:BATCH]) / BATCH, 3),
        },
        "alone_milliseconds": {
            "ridge": round(_milliseconds(ridge, old[:1]), 2),
            "kernel": round(_milliseconds(both, old[:1]), 1),
        },
        "megabytes": {
            name: round(sum(x.nbytes for x in transform.tensors().values()) / 1e6, 1)
            for name, transform in (("ridge", ridge), ("kernel", both))
        },
        "machine": f"{platform.machine()}, Python {platform.python_version()}",
    }


def page(found: dict[str, object]) -> str:
    """As Markdown."""
    rows = [
        ("fit", "fit_seconds", "s"),
        ("learn from 2,000 recorded queries", "teach_seconds", "s"),
        ("map an item among 1,024", "item_milliseconds", "ms"),
        ("map an item alone", "alone_milliseconds", "ms"),
        ("keep", "megabytes", "MB"),
    ]
    lines = [
        "# What a kernel map costs",
        "",
        f"{ROWS:,} pairs and items of {found['dims']} dimensions, {MOST_LANDMARKS:,} landmarks. "
        f"Fitting takes {found['fit_mib']} MiB. Written by `python -m benchmarks.kernel_cost`.",
        "",
        "| | ridge | kernel map |",
        "|---|---|---|",
    ]
    for words, key, unit in rows:
        cost: dict[str, float] = found[key]  # type: ignore[assignment]
        lines.append(f"| {words} | {cost['ridge']} {unit} | {cost['kernel']} {unit} |")
    return "\n".join(lines) + "\n"


def _seconds_to_teach(method: str, old: FloatArray, new: FloatArray) -> float:
    pairs, queries = slice(0, PAIRS), slice(-QUERIES, None)
    upgrade = fit(Pairs.of(range(PAIRS), old[pairs], new[pairs]), method)
    assert upgrade.refit is not None
    items = range(PAIRS, 2 * PAIRS)
    extra = upgrade.refit.gather(items, old[PAIRS : 2 * PAIRS], new[PAIRS : 2 * PAIRS], PAIRS)
    log = queries_to_teach(upgrade, QueryLog(new[queries], old[queries]))
    started = time.perf_counter()
    assert taught_offset(upgrade, log, extra) is not None
    return time.perf_counter() - started


def _milliseconds(transform: Callable[[FloatArray], FloatArray], rows: FloatArray) -> float:
    """The least of five, the first of which warms up."""
    taken = []
    for _ in range(5):
        started = time.perf_counter()
        transform(rows)
        taken.append(time.perf_counter() - started)
    return 1000 * min(taken)


def _peak_mib() -> float:
    return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024


if __name__ == "__main__":
    main()
