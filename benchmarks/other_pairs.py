"""`auto` against every single method on pairs of text models that are no suite of the benchmark.

The corpora are the suites', the pairs of models are not. Nothing was tuned on them but one choice:
that kernel maps don't begin with a ridge, which vital-minilml6-mpnet showed. One draw each.

    python -m benchmarks.other_pairs [--pairs vital-glove50-minilml6 ...] [--methods ...]
"""

from __future__ import annotations

import argparse
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any

from benchmarks.json_lines import read_lines, write_lines
from crossfade.bench.measure import can_search, check_method, fit_method, measure
from crossfade.bench.models.text import (
    GLOVE,
    MINILM_L3,
    MINILM_L6,
    MPNET,
    WORDLLAMA,
    packages_of,
)
from crossfade.bench.packages import require
from crossfade.bench.suite import BuildPlan
from crossfade.bench.suites.corpora import debian_descriptions, vital_articles, wordnet_nouns
from crossfade.bench.suites.text import Task, build
from crossfade.upgrade import Mode

RESULTS = Path(__file__).parent / "results"
METRIC = "mrr"
METHODS = (
    "auto",
    "forward_ridge",
    "refitted_ridge",
    "forward_kernel",
    "forward_mlp",
    "procrustes_centred",
    "rank_merge",
    "rank_merge+z_score",
    "rank_merge+rrf",
    "rank_merge+isotonic",
    "rank_merge_quantile",
)
TASKS = {
    "vital-glove50-minilml6": Task(vital_articles, GLOVE, MINILM_L6, pool=20_000, gallery=4_000),
    "debian-wordllama-minilml6": Task(
        debian_descriptions, WORDLLAMA, MINILM_L6, pool=10_000, gallery=5_000
    ),
    "debian-glove50-minilml3": Task(
        debian_descriptions, GLOVE, MINILM_L3, pool=10_000, gallery=5_000
    ),
    "vital-minilml3-minilml6": Task(
        vital_articles, MINILM_L3, MINILM_L6, pool=20_000, gallery=4_000
    ),
    "vital-minilml6-mpnet": Task(vital_articles, MINILM_L6, MPNET, pool=20_000, gallery=4_000),
    "wordnet-minilml6-mpnet": Task(wordnet_nouns, MINILM_L6, MPNET, pool=9_000, gallery=4_000),
}
_INTRO = (
    "`auto` and single methods on pairs of models that are no suite, one draw, random order, no "
    "labels and no log; the best of either number of encoders in bold. `python -m "
    "benchmarks.other_pairs`.\n"
)


def main() -> None:
    """Measure pair by pair, and write the table after each."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--pairs", nargs="+", choices=TASKS, default=list(TASKS))
    parser.add_argument("--methods", nargs="+", type=check_method, default=list(METHODS))
    arguments = parser.parse_args()
    path = RESULTS / "other_pairs.jsonl"
    for name in arguments.pairs:
        kept = [
            run
            for run in read_lines(path)
            if run["pair"] != name or run["method"] not in arguments.methods
        ]
        runs = [*kept, *_measured(name, arguments.methods)]
        write_lines(path, runs)
        (RESULTS / "other_pairs.md").write_text(_page(runs), encoding="utf-8")


def _measured(name: str, methods: Sequence[str]) -> Iterator[dict[str, Any]]:
    task = TASKS[name]
    require(packages_of(task.old, task.new))
    data = build(task, BuildPlan(0, quick=False, say=print))
    for method in methods:
        upgrade = fit_method(data, method, seed=0)
        for mode in Mode.ONE_ENCODER, Mode.TWO_ENCODER:
            if not can_search(upgrade, method, mode):
                continue
            run = measure(upgrade, data, method=method, seed=0, mode=mode, order="random")
            one = {"pair": name, "method": method, "mode": mode.value}
            one |= {key: run[key] for key in ("chosen", "encoders", "pairs", "counts")}
            one |= {key: run[key][METRIC] for key in _FIGURES}
            print(one, flush=True)
            yield one


_FIGURES = ("old_old", "new_new", "gain_share", "worst_point", "drop")


def _page(runs: Sequence[dict[str, Any]]) -> str:
    return _INTRO + "".join(
        _table(name, [run for run in runs if run["pair"] == name])
        for name in dict.fromkeys(run["pair"] for run in runs)
    )


def _table(name: str, runs: Sequence[dict[str, Any]]) -> str:
    first = runs[0]
    head = (
        f"\n## {name}\n\nMRR {first['old_old']:.3f} -> {first['new_new']:.3f}, "
        f"{first['pairs']:,} pairs to fit on, {first['counts']['gallery']:,} items.\n\n"
        "| method | gain share, 1 encoder | worst point | 2 encoders | worst point |\n"
        "|---|---|---|---|---|\n"
    )
    best = {
        encoders: max(run["gain_share"] for run in runs if run["encoders"] == encoders)
        for encoders in (1, 2)
    }
    rows = []
    for method in dict.fromkeys(run["method"] for run in runs):
        of = {run["encoders"]: run for run in runs if run["method"] == method}
        cells = [cell for encoders in (1, 2) for cell in _cells(of.get(encoders), best[encoders])]
        chosen = next(iter(of.values()))["chosen"]
        shown = f"{method} ({chosen})" if method == "auto" else method
        rows.append(f"| {' | '.join([shown, *cells])} |\n")
    return head + "".join(rows)


def _cells(run: dict[str, Any] | None, best: float) -> tuple[str, str]:
    if run is None:
        return "-", "-"
    share = f"{100 * run['gain_share']:.0f} %"
    return f"**{share}**" if run["gain_share"] == best else share, f"{run['worst_point']:+.3f}"


if __name__ == "__main__":
    main()
