"""The page of tables, from the runs alone."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from itertools import groupby
from typing import Any

import numpy as np

from benchmarks.at_rest.quality import LARGER_QUERIES, TOP_METRIC
from benchmarks.at_rest.task import FACTORS, METHOD, K

__all__ = ["page_of"]


def page_of(runs: Sequence[dict[str, Any]]) -> str:
    """In Markdown; runs of a suite one after the other."""
    curves = [run for run in runs if run["what"] == "curves"]
    suites = {name: list(own) for name, own in groupby(curves, key=lambda run: run["suite"])}
    costs = [run for run in runs if run["what"] == "costs"]
    return (
        "# A linear forward map at rest, or at query time with one number an item\n\n"
        f"Made by `python -m benchmarks.at_rest`, which says what is measured; `{METHOD}` without "
        "labels, one encoder, random order, mean over the draws. *Divided* is at query time with "
        "each item's stored length; its scores are those of at rest but for rounding, which is "
        "asserted.\n" + _curves(suites) + _overfetch(suites) + _written(costs) + _asked(costs)
    )


def _curves(suites: Mapping[str, Sequence[dict[str, Any]]]) -> str:
    lines = [
        "\n## Gain share, and the worst point of all draws, of full rankings\n",
        "*Length* is the mean of the mapped lengths and their deviation, in percent of it.\n",
        "| suite | draws | metric | old -> new | length | at rest | divided | not divided | by the "
        "mean length |",
        "|---|---|---|---|---|---|---|---|---|",
    ]
    for name, runs in suites.items():
        cells = [
            f"{_percent(_mean(runs, 'gain_share', kind))} "
            f"({min(run['worst_point'][kind] for run in runs):+.3f})"
            for kind in ("at_rest", "divided", "undivided", "by_mean")
        ]
        old, new, length, spread = (
            float(np.mean([run[key] for run in runs]))
            for key in ("old_old", "new_new", "length_mean", "length_spread")
        )
        lines.append(
            f"| {name} | {len(runs)} | {runs[0]['metric']} | {old:.3f} -> {new:.3f} | "
            f"{length:.2f} ± {100 * spread:.0f} % | {' | '.join(cells)} |"
        )
    return "\n".join(lines) + "\n"


def _overfetch(suites: Mapping[str, Sequence[dict[str, Any]]]) -> str:
    heads = " | ".join(f"K = {K * factor}" for factor in FACTORS)
    lines = [
        "\n## The ten best among the K best of a search, at coverage 0\n",
        "Share of the ten that are found by the search that is not divided, and by the tilted one; "
        "last columns: the K that finds all ten for half of the queries and for 95 % of them, in "
        "the worst draw. *With its pairs*: the same queries among the items and the pairs, "
        f"{LARGER_QUERIES} at most, of the first draw. With few items a dimension (stamps, "
        "Wesnoth) the slope fits each item's own length, which flatters the tilted search.\n",
        f"| suite | search | items | {heads} | 50 % | 95 % |",
        "|---|---|---|" + "---|" * (len(FACTORS) + 2),
    ]
    for name, runs in suites.items():
        for search, suffix in (("not divided", ""), ("tilted", "_tilted")):
            found = [f"{_mean(runs, f'recall{suffix}', str(one)):.3f}" for one in FACTORS]
            deepest = [
                f"{max(run[f'deepest{suffix}'][share] for run in runs):,}"
                for share in ("median", "95 %")
            ]
            start = f"| {name} | {search} | {runs[0]['items']:,} | "
            lines.append(start + " | ".join([*found, *deepest]) + " |")
        more = [run["among_all"] for run in runs if run["among_all"]]
        for search, suffix in (("not divided", ""), ("tilted", "_tilted")) if more else ():
            found = [f"{_mean(more, f'recall{suffix}', str(one)):.3f}" for one in FACTORS]
            start = f"| with its pairs | {search} | {more[0]['items']:,} | "
            lines.append(start + " | ".join(found) + " | | |")
    lines += [
        f"\n## Gain share in {TOP_METRIC} if the store gives K items of the old side\n",
        f"| suite | search | {heads} | all, or at rest | not divided | by the mean length |",
        "|---|---|" + "---|" * (len(FACTORS) + 3),
    ]
    for name, runs in suites.items():
        whole = [
            _percent(_mean(runs, "top_gain_share", kind))
            for kind in ("at_rest", "undivided", "by_mean")
        ]
        for search, key in (("not divided", "fetched"), ("tilted", "tilted")):
            shares = [_percent(_mean(runs, f"{key}_top_gain_share", str(one))) for one in FACTORS]
            lines.append(f"| {name} | {search} | {' | '.join([*shares, *whole])} |")
            whole = [""] * 3
    return "\n".join(lines) + "\n"


def _written(costs: Sequence[dict[str, Any]]) -> str:
    lines = [
        "\n## What is written, embedded store, first draw\n",
        "Bytes are computed: float32, without the store's own overhead; *narrow*: coordinates in "
        "the d_old + 1 dimensions that the map spans, if these are fewer. Microseconds an item are "
        "measured, once, while other work ran, so they are noisy. *Map and write*: read, map, "
        "write under condition, flush, as a job does. *Number*: by the engine's payload operation, "
        "one an item, without reading or condition; by a `put` of the whole item, the old vector "
        "included. An approximate index of the mapped vectors comes on top of at rest "
        "(0.3 to 3 ms an item, by store: [`store_recall.md`](store_recall.md)); at query time that "
        "of the old vectors stays.\n",
        "| suite | items | bytes: at rest | narrow | number | map alone, µs | map and write | "
        "length alone, µs | number, engine | number, `put` |",
        "|---|---|---|---|---|---|---|---|---|---|",
    ]
    for cost in costs:
        sizes = cost["bytes"]
        lines.append(
            f"| {cost['suite']} | {cost['items']:,} | {sizes['at_rest']:,} | {sizes['narrow']:,} | "
            f"{sizes['length']} | {cost['map_us']:.1f} | {cost['map_and_write_us']:.0f} "
            f"| {cost['length_us']:.1f} | {cost['payload_us']:.0f} | {cost['put_again_us']:.0f} |"
        )
    return "\n".join(lines) + "\n"


def _asked(costs: Sequence[dict[str, Any]]) -> str:
    heads = " | ".join(f"K = {K * factor}" for factor in FACTORS)
    lines = [
        "\n## A query of ten results, milliseconds, exact search, first draw\n",
        "Measured, the median of one query at a time. At query time K items are searched by their "
        "old vectors, then read with their number / with their old vectors, of which the number is "
        "computed, so that nothing at all is written.\n",
        f"| suite | items | at rest | {heads} |",
        "|---|---|---|" + "---|" * len(FACTORS),
    ]
    for cost in costs:
        asked = cost["query_ms"]
        cells = [
            f"{asked['stored'][str(one)]:.1f} / {asked['computed'][str(one)]:.1f}"
            for one in FACTORS
        ]
        start = f"| {cost['suite']} | {cost['items']:,} | {asked['at_rest']:.1f} | "
        lines.append(start + " | ".join(cells) + " |")
    return "\n".join(lines) + "\n"


def _percent(share: float) -> str:
    return f"{100 * share:.1f} %"


def _mean(runs: Sequence[dict[str, Any]], what: str, key: str) -> float:
    return float(np.mean([run[what][key] for run in runs]))
