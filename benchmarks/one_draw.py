"""`auto` against single methods on one draw of some data: runs, and a page of tables."""

from __future__ import annotations

import argparse
from collections.abc import Callable, Collection, Iterator, Sequence
from pathlib import Path
from typing import Any

from benchmarks.json_lines import read_lines, write_lines
from crossfade.bench.dataset import DataSet
from crossfade.bench.measure import can_search, check_method, fit_method, measure
from crossfade.upgrade import Mode

__all__ = ["METHODS", "measure_and_write", "parser_of"]

RESULTS = Path(__file__).parent / "results"
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
_FIGURES = ("old_old", "new_new", "gain_share", "worst_point", "drop")


def parser_of(description: str | None, pairs: Collection[str]) -> argparse.ArgumentParser:
    """Which pairs of models and which methods, all unless some are named."""
    parser = argparse.ArgumentParser(description=description)
    parser.add_argument("--pairs", nargs="+", choices=pairs, default=list(pairs))
    parser.add_argument("--methods", nargs="+", type=check_method, default=list(METHODS))
    return parser


def measure_and_write(
    page: str,
    intro: str,
    arguments: argparse.Namespace,
    data_of: Callable[[str], tuple[DataSet, str]],
) -> None:
    """Measure pair by pair, and write ``page``'s runs and table after each.

    Args:
        data_of: the data of a pair, and its metric.
    """
    path = RESULTS / f"{page}.jsonl"
    for name in arguments.pairs:
        kept = [
            run
            for run in read_lines(path)
            if run["pair"] != name or run["method"] not in arguments.methods
        ]
        data, metric = data_of(name)
        runs = [*kept, *_measured(name, data, metric, arguments.methods)]
        write_lines(path, runs)
        (RESULTS / f"{page}.md").write_text(_page(intro, runs), encoding="utf-8")


def _measured(
    name: str, data: DataSet, metric: str, methods: Sequence[str]
) -> Iterator[dict[str, Any]]:
    for method in methods:
        upgrade = fit_method(data, method, seed=0)
        for mode in Mode.ONE_ENCODER, Mode.TWO_ENCODER:
            if not can_search(upgrade, method, mode):
                continue
            run = measure(upgrade, data, method=method, seed=0, mode=mode, order="random")
            one = {"pair": name, "method": method, "mode": mode.value}
            one |= {key: run[key] for key in ("chosen", "encoders", "pairs", "counts")}
            one |= {key: run[key][metric] for key in _FIGURES}
            print(one, flush=True)
            yield one


def _page(intro: str, runs: Sequence[dict[str, Any]]) -> str:
    return intro + "".join(
        _table(name, [run for run in runs if run["pair"] == name])
        for name in dict.fromkeys(run["pair"] for run in runs)
    )


def _table(name: str, runs: Sequence[dict[str, Any]]) -> str:
    first = runs[0]
    head = (
        f"\n## {name}\n\n{first['old_old']:.3f} -> {first['new_new']:.3f}, "
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
