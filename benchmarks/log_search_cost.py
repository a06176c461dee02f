"""What lowering backfilled hubs costs a search: an upgrade with a log of queries, beside none.

    python -m benchmarks.log_search_cost [SUITE]

A suite's gallery, half backfilled, and its log of queries as a bank. The same searches, one query
at a time, exact, ten best: with the mapped items' offsets alone, and with backfilled items lowered
too; the first time a query comes, and again, when the numbers of its candidates are kept. Both
galleries are searched in turn, so that what else the machine does meets both. Results:
``benchmarks/results/log_search_cost.json`` and ``.md``.
"""

from __future__ import annotations

import argparse
import json
import platform
import statistics
import tempfile
import time
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path

import crossfade
from crossfade.bench.dataset import DataSet
from crossfade.bench.suite import BuildPlan
from crossfade.bench.suites import suites_named
from crossfade.embeddings import Pairs
from crossfade.gallery import Gallery, open_gallery
from crossfade.upgrade import Upgrade

RESULTS = Path(__file__).parent / "results"
QUERIES, ROWS = 100, 1_000
MODES = ("one-encoder", "two-encoder")


def main() -> None:
    """Measure, and write the page."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("suite", nargs="?", default="debian-glove-wordllama")
    (suite,) = suites_named([parser.parse_args().suite])
    found = {"suite": suite.name, **measure(suite.build(BuildPlan(0, False, print)))}
    text = json.dumps(found, indent=2)
    print(text)
    (RESULTS / "log_search_cost.json").write_text(text + "\n", encoding="utf-8")
    (RESULTS / "log_search_cost.md").write_text(page(found), encoding="utf-8")


def measure(data: DataSet) -> dict[str, object]:
    """Milliseconds of a search: the median over the queries, of each store and mode."""
    assert data.queries is not None
    with_log = crossfade.fit(data.fit, queries=data.logs["queries"], seed=0)
    assert with_log.offset is not None
    without = replace(with_log, offset=replace(with_log.offset, new_side=0.0, usual_new=0.0))
    queries, rows = data.queries.subset(range(QUERIES)), []
    for uri in ("memory://", "qdrant://"):
        with tempfile.TemporaryDirectory() as folder:
            galleries = [
                _filled(uri if uri == "memory://" else f"{uri}{folder}/{place}", upgrade, data)
                for place, upgrade in (("mapped", without), ("both", with_log))
            ]
            for mode in MODES:
                rows += [{"store": uri, "mode": mode, **_times(galleries, queries, mode)}]
            for gallery in galleries:
                gallery.close()
    return {
        "items": len(data.gallery),
        "dim": with_log.target.dim,
        "bank": len(with_log.offset.bank),
        "rows": rows,
        "machine": f"{platform.machine()}, Python {platform.python_version()}",
    }


def page(found: dict[str, object]) -> str:
    """The results as Markdown."""
    rows = found["rows"]
    assert isinstance(rows, list)
    lines = [
        "# What lowering backfilled hubs costs a search",
        "",
        f"`{found['suite']}`: {found['items']:,} items of {found['dim']} dimensions, half "
        f"backfilled, a bank of {found['bank']:,} queries; milliseconds of an exact search for "
        "ten, one query at a time (median of a hundred), and their ratio. Written by "
        "`python -m benchmarks.log_search_cost`.",
        "",
        "| store | mode | mapped items alone are lowered | both sides, first time | ratio "
        "| again | ratio |",
        "|---|---|---|---|---|---|---|",
    ]
    for row in rows:
        first, again = row["first"], row["again"]
        lines.append(
            f"| `{row['store']}` | {row['mode']} | {first[0]:.1f}, {again[0]:.1f} | {first[1]:.1f} "
            f"| {first[1] / first[0]:.1f} | {again[1]:.1f} | {again[1] / again[0]:.1f} |"
        )
    return "\n".join(lines) + "\n"


def _filled(uri: str, upgrade: Upgrade, data: DataSet) -> Gallery:
    gallery, pairs = open_gallery(uri, upgrade), data.gallery
    half = len(pairs) // 2
    for start in range(0, len(pairs), ROWS):
        rows = slice(start, start + ROWS)
        new = pairs.new_rows(rows) if start < half else None
        gallery.upsert(pairs.ids[rows].tolist(), old=pairs.old_rows(rows), new=new)
    return gallery


def _times(galleries: list[Gallery], queries: Pairs, mode: str) -> dict[str, tuple[float, float]]:
    """Medians of each gallery, of searches that come for the first time and again."""
    for gallery in galleries:  # warm
        gallery.search(-queries.new_rows(slice(1)), 10, query_old=queries.old_rows(slice(1)))
    return {name: _medians(galleries, queries, mode) for name in ("first", "again")}


def _medians(galleries: list[Gallery], queries: Pairs, mode: str) -> tuple[float, float]:
    rounds = [list(_searched(galleries, queries, row, mode)) for row in range(len(queries))]
    first, second = (1_000 * statistics.median(taken) for taken in zip(*rounds, strict=True))
    return first, second


def _searched(galleries: list[Gallery], queries: Pairs, row: int, mode: str) -> Iterator[float]:
    one = slice(row, row + 1)
    for gallery in galleries:
        started = time.perf_counter()
        gallery.search(queries.new_rows(one), 10, query_old=queries.old_rows(one), mode=mode)
        yield time.perf_counter() - started


if __name__ == "__main__":
    main()
