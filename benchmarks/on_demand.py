"""Re-extraction on demand: what twenty encodes a query buy at once, and under a query stream.

For each suite: the share of the gap between the old and the new model that is closed at some
coverages, by candidates of either view or both (METRIC of the suite, nothing kept between
queries); then streams of queries (see ``crossfade.evaluation.query_stream``).

    python -m benchmarks.on_demand [SUITE ...] [--seeds 1] [--no-streams]

A SUITE is a name of ``crossfade bench list`` or a folder with fit.npz, gallery.npz, ...
"""

from __future__ import annotations

import argparse
from collections.abc import Iterator, Sequence
from itertools import chain, groupby
from pathlib import Path
from typing import Any

import numpy as np

import crossfade
from benchmarks.json_lines import read_lines, write_lines
from crossfade.bench.dataset import DataSet
from crossfade.bench.suite import BuildPlan, Suite
from crossfade.bench.suites import suites_named
from crossfade.evaluation.on_demand import Candidates, evaluate_on_demand, score_queries
from crossfade.evaluation.query_stream import Form, StreamPlan, coverage_reached, replay

RESULTS = Path(__file__).parent / "results"
SUITES = (
    "emoji-vendors",
    "debian-l3-l6",
    "wordnet-l3-l6",
    "debian-glove-wordllama",
    "wordnet-glove-wordllama",
)
METHOD = "auto"
COVERAGES = (0.0, 0.25, 0.5, 0.75)
SKEWS = (0.5, 1.0, 1.5)
SHARES = (0.9, 0.95, 0.99)
STREAMS: Sequence[dict[str, Any]] = (
    {"form": Form.NOW},
    {"form": Form.NOW, "within": 20},
    {"form": Form.LATER, "rate": 20.0},
    {"form": Form.LATER, "rate": 2.0},
    {"form": Form.LATER, "rate": 0.2},
    {"form": Form.LATER, "rate": 0.2, "within": 20},
)


def main() -> None:
    """Measure what is missing, and write the tables."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("suites", nargs="*", default=list(SUITES))
    parser.add_argument("--seeds", type=int, default=1)
    parser.add_argument("--no-streams", action="store_true", help="coverage tables alone")
    arguments = parser.parse_args()
    path = RESULTS / "on_demand.jsonl"
    names = {suite.name for suite in suites_named(arguments.suites)}
    kept = [run for run in read_lines(path) if run["suite"] not in names]
    for suite in suites_named(arguments.suites):
        kept += _measure(suite, 0 if arguments.no_streams else arguments.seeds)
        kept.sort(key=lambda run: run["suite"])
        write_lines(path, kept)
    (RESULTS / "on_demand.md").write_text(_page(kept), encoding="utf-8")


def _measure(suite: Suite, seeds: int) -> Iterator[dict[str, Any]]:
    data = suite.build(BuildPlan(0, False, print))
    upgrade = crossfade.fit(data.fit.without_labels(), METHOD, seed=0)
    for run in chain(_at_once(suite, data, upgrade), _streams(data, upgrade, seeds)):
        print(run, flush=True)
        yield {"suite": suite.name, **run}


def _at_once(suite: Suite, data: DataSet, upgrade: crossfade.Upgrade) -> Iterator[dict[str, Any]]:
    plans: list[tuple[str, Candidates, int, Sequence[float]]] = [
        ("one-encoder", Candidates.BOTH, 10, (0.0,)),
        *(("one-encoder", kind, 20, (0.0,)) for kind in Candidates),
        ("one-encoder", Candidates.BOTH, 50, (0.0,)),
        *((mode, Candidates.BOTH, 20, COVERAGES) for mode in ("one-encoder", "two-encoder")),
    ]
    for mode, kind, n, coverage in plans:
        for point in evaluate_on_demand(
            upgrade,
            data.gallery,
            data.queries,
            qrels=data.qrels,
            n=n,
            candidates=kind,
            coverage=coverage,
            mode=mode,
        ):
            yield {
                "what": "at once" if coverage == (0.0,) else "at coverage",
                "metric": suite.metric,
                "mode": mode,
                "candidates": kind.value,
                "n": n,
                "coverage": point.coverage,
                "old": round(point.old_old[suite.metric], 4),
                "new": round(point.new_new[suite.metric], 4),
                "estimated": round(point.estimated[suite.metric], 4),
                "reextracted": round(point.reextracted[suite.metric], 4),
                "share_of_gap": round(point.share_of_gap(suite.metric), 4),
            }


def _streams(data: DataSet, upgrade: crossfade.Upgrade, seeds: int) -> Iterator[dict[str, Any]]:
    if not seeds:
        return
    parts = list(score_queries(upgrade, data.gallery, data.queries, qrels=data.qrels))
    for settings in STREAMS:
        for skew in SKEWS:
            replays = [
                replay(parts, StreamPlan(**settings, skew=skew, seed=seed)) for seed in range(seeds)
            ]
            yield {
                "what": "stream",
                **{name: str(value) for name, value in settings.items()},
                "skew": skew,
                "seeds": seeds,
                "reached": {
                    what: [
                        [coverage_reached(points, what, share) for points in replays]
                        for share in SHARES
                    ]
                    for what in ("same_first", "same_ten")
                },
                "points": [
                    [round(float(value), 4) for value in vars(point).values()]
                    for point in replays[0]
                ],
            }


def _page(runs: Sequence[dict[str, Any]]) -> str:
    lines = [
        f"Made by `python -m benchmarks.on_demand`; maps by `{METHOD}`, seed 0, random order.",
        "",
        "## At coverage 0, one encoder for what is not re-extracted",
        "",
        "Share of the gap between old and new that is closed, by N and by the view that names "
        "the candidates; `both`: by the score of two encoders.",
        "",
        "| suite | old | new | map alone | "
        + " | ".join(f"N = {n}: old / mapped / both" for n in (10, 20, 50))
        + " |",
        "|---|---|---|---|---|---|---|",
    ]
    for suite, of_suite in groupby(runs, key=lambda run: run["suite"]):
        listed = [run for run in of_suite if run["what"] == "at once"]
        cell = {(run["n"], run["candidates"]): run["share_of_gap"] for run in listed}
        one = listed[0]
        shares = [
            " / ".join(f"{cell[n, kind]:.0%}" if (n, kind) in cell else "-" for kind in Candidates)
            for n in (10, 20, 50)
        ]
        lines.append(
            f"| {suite} | {one['old']:.3f} | {one['new']:.3f} | {one['estimated']:.3f} | "
            + " | ".join(shares)
            + " |"
        )
    lines += [
        "",
        "## With the backfill under way, N = 20, by both models",
        "",
        "| suite | mode | " + " | ".join(f"coverage {at:g}" for at in COVERAGES) + " |",
        "|---|---|" + "---|" * len(COVERAGES),
    ]
    listed = [run for run in runs if run["what"] == "at coverage"]
    for (suite, mode), group in groupby(listed, key=lambda run: (run["suite"], run["mode"])):
        shown = [f"{run['estimated']:.3f} -> **{run['reextracted']:.3f}**" for run in group]
        lines.append(f"| {suite} | {mode} | " + " | ".join(shown) + " |")
    lines += [
        "",
        "## Streams of queries, N = 20",
        "",
        "The coverage from which on 90 / 95 / 99 % of the traffic get the best item, and the ten "
        "best items, of the gallery at coverage 1; mean over seeds, - if not within 20,000 "
        "queries. `rate`: items that the job moves a query, the most wanted first. `within 20`: "
        "only candidates among the 20 best of the answer, backfilled ones counted. Last columns: "
        "encodes a query, and queries asked, in the first seed up to a quarter of the gallery (or "
        "the stream's end), and at the end.",
        "",
        "| suite | form | skew | same first, at coverage | same ten, at coverage | encodes a "
        "query | at the end: queries, coverage |",
        "|---|---|---|---|---|---|---|",
    ]
    for run in runs:
        if run["what"] == "stream":
            form = run["form"] + "".join(
                f", {name} {run[name]}" for name in ("rate", "within") if name in run
            )
            first, ten = (
                " / ".join(_mean(shares) for shares in run["reached"][what])
                for what in ("same_first", "same_ten")
            )
            early = [point for point in run["points"] if point[1] <= 0.27][-1]
            last = run["points"][-1]
            spent = early[1] / max(1, early[0])
            lines.append(
                f"| {run['suite']} | {form} | {run['skew']:g} | {first} | {ten} | "
                f"{spent * _items(run):.1f} | {last[0]:,.0f}, {last[1]:.2f} |"
            )
    return "\n".join(lines) + "\n"


def _items(run: dict[str, Any]) -> float:
    """Items of the gallery, from how many were moved between two points."""
    one, other = run["points"][:2]
    return other[2] * (other[0] - one[0]) / (other[1] - one[1])


def _mean(values: Sequence[float | None]) -> str:
    known = [value for value in values if value is not None]
    return f"{np.mean(known):.2f}" if len(known) == len(values) else "-"


if __name__ == "__main__":
    main()
