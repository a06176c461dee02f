"""Orders of backfilling: what each adds to the gain share of a random order.

Every suite is fitted by forward ridge or by ``auto``, without labels; curves are measured in
one-encoder and in two-encoder mode, in the same gallery with the same queries, under every order.
Random is the mean of three seeds. The error of an order is over the queries, each compared with
itself under the random orders. ``auto`` is what fitting recommends; ``traffic`` and
``expected_gain+log`` read a log of what the old system answered to a quarter of the queries, the
others are measured; ``oracle`` knows the true residual: what the orders that predict it could get.

    python -m benchmarks.orders [SUITE ...] [--methods forward_ridge auto] [--orders auto oracle]
        [--seeds 1]

A SUITE is a name of ``crossfade bench list``, a family, all-local, or a folder of your own.
"""

from __future__ import annotations

import argparse
import tempfile
from collections import Counter
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from itertools import groupby
from pathlib import Path
from typing import Any

import numpy as np

from benchmarks.json_lines import read_lines, write_lines
from crossfade.bench.dataset import DataSet
from crossfade.bench.suite import BuildPlan, Suite
from crossfade.bench.suites import suites_named
from crossfade.embeddings import Pairs
from crossfade.errors import InvalidInput
from crossfade.evaluation import EvaluationResult, evaluate
from crossfade.fit.api import fit
from crossfade.upgrade import Mode, Upgrade

RESULTS = Path(__file__).parent / "results"
METHODS = ("forward_ridge", "auto")
MODES = (Mode.ONE_ENCODER, Mode.TWO_ENCODER)
ORDERS = (
    "auto",
    "expected_gain",
    "predicted_residual",
    "central_first",
    "short_mapped_first",
    "cluster_mean",
    "class_mean",
    "traffic",
    "expected_gain+log",
    "oracle",
)
_READ_THE_LOG = ("traffic", "expected_gain+log")
_RANDOM_SEEDS = 3
_LOGGED_ANSWERS = 10
_WANTED_POINTS = 5


@dataclass(frozen=True, eq=False)
class Task:
    """A suite's data, and the log of what was asked for before."""

    suite: Suite
    seed: int
    data: DataSet
    queries: Pairs
    log: Path


def main() -> None:
    """Measure suite by suite, and write the tables after each."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("suites", nargs="*", default=["all-local"])
    parser.add_argument("--methods", nargs="+", default=list(METHODS))
    parser.add_argument("--orders", nargs="+", choices=ORDERS, default=ORDERS, metavar="ORDER")
    parser.add_argument("--queries", type=int, default=750, help="measured, at most")
    parser.add_argument("--seeds", type=int, default=1, help="draws of the data")
    arguments = parser.parse_args()
    path = RESULTS / "orders.jsonl"
    runs = {_key(run): run for run in read_lines(path)}
    for suite in suites_named(arguments.suites):
        for seed in range(arguments.seeds):
            for run in _runs(suite, seed, arguments):
                runs[_key(run)] = run
                print(_row([run], run["method"]).strip(), flush=True)
                write_lines(path, runs.values())
                (RESULTS / "orders.md").write_text(_page(runs.values()), encoding="utf-8")


def _runs(suite: Suite, seed: int, arguments: argparse.Namespace) -> Iterable[dict[str, Any]]:
    with tempfile.TemporaryDirectory() as folder:
        task = _task(suite, seed, Path(folder) / "log", arguments.queries)
        for method in arguments.methods:
            yield from _measure(task, method, arguments.orders)


def _task(suite: Suite, seed: int, log: Path, most: int) -> Task:
    data = suite.build(BuildPlan(seed, False, lambda line: print(line, flush=True)))
    everyone = data.gallery if data.queries is None else data.queries
    rows = np.random.default_rng(7).permutation(len(everyone))
    quarter = len(rows) // 4
    logged, asked = rows[:quarter], rows[quarter:][:most]
    seen, measured = (everyone.subset(np.sort(part)) for part in (logged, asked))
    counts = _answers(seen, data.gallery)
    log.write_text("".join(f"{id}\t{times}\n" for id, times in counts.items()), encoding="utf-8")
    return Task(suite, seed, data, measured, log)


def _answers(queries: Pairs, gallery: Pairs) -> Counter[str]:
    """How often the old system answered with an item, its ten best a query."""
    counts: Counter[str] = Counter()
    old = gallery.old_rows()
    for start in range(0, len(queries), 256):
        scores = queries.old_rows(slice(start, start + 256)) @ old.T
        own = queries.ids[start : start + 256, None] == gallery.ids[None, :]
        best = np.argpartition(-np.where(own, -9.0, scores), _LOGGED_ANSWERS, axis=1)
        counts.update(str(gallery.ids[item]) for item in best[:, :_LOGGED_ANSWERS].ravel())
    return counts


def _measure(task: Task, method: str, orders: Sequence[str]) -> Iterable[dict[str, Any]]:
    data = task.data
    pairs = data.fit if data.fit.labels is None else data.fit.without_labels()
    upgrade = fit(pairs, method, seed=task.seed)
    if data.fit.labels is not None and upgrade.method == "forward_ridge":
        labelled = fit(
            data.fit, "forward_ridge", seed=task.seed
        )  # the same map, and the classes' means
    else:
        labelled = None
    for mode in MODES:
        random = [_evaluate(task, upgrade, mode, "random", seed) for seed in range(_RANDOM_SEEDS)]
        found = {
            order: result
            for order in orders
            if (result := _under(task, labelled if order == "class_mean" else upgrade, mode, order))
        }
        yield _run(task, method, upgrade, mode, random, found)


def _under(task: Task, upgrade: Upgrade | None, mode: Mode, order: str) -> EvaluationResult | None:
    """None where the upgrade can't give the order."""
    if upgrade is None:
        return None
    log = f":{task.log}"
    name = {"traffic": f"traffic{log}", "expected_gain+log": f"expected_gain{log}"}.get(
        order, order
    )
    try:
        return _evaluate(task, upgrade, mode, name, 0)
    except InvalidInput as error:
        print(f"{task.suite.name}, {order}: {error}", flush=True)
        return None


def _evaluate(task: Task, upgrade: Upgrade, mode: Mode, order: str, seed: int) -> EvaluationResult:
    data = task.data
    return evaluate(
        upgrade,
        data.gallery,
        task.queries,
        qrels=data.qrels,
        ignored=data.ignored,
        order=order,
        seed=seed,
        mode=mode,
    )


def _run(
    task: Task,
    method: str,
    upgrade: Upgrade,
    mode: Mode,
    random: Sequence[EvaluationResult],
    found: Mapping[str, EvaluationResult],
) -> dict[str, Any]:
    metric = task.suite.metric
    old, new = random[0].old_old[metric], random[0].new_new[metric]
    shares = [result.gain_share[metric] for result in random]
    return {
        "suite": task.suite.name,
        "seed": task.seed,
        "method": method,
        "fitted": upgrade.method,
        "mode": mode.value,
        "metric": metric,
        "is_upgrade": new > old,
        "queries": random[0].counts.queries,
        "old_old": round(old, 5),
        "new_new": round(new, 5),
        "random": round(float(np.mean(shares)), 4),
        "random_spread": round(float(np.std(shares)), 4),
        "random_worst": round(min(result.worst_point[metric] for result in random), 5),
        "chosen": upgrade.ordering.chosen if upgrade.ordering else "random",
        "gain_share": {name: round(one.gain_share[metric], 4) for name, one in found.items()},
        "error": {name: _error(random, one, metric) for name, one in found.items()},
        "worst_point": {name: round(one.worst_point[metric], 5) for name, one in found.items()},
        "drop": {name: round(one.drop[metric], 5) for name, one in found.items()},
    }


def _error(random: Sequence[EvaluationResult], one: EvaluationResult, metric: str) -> float:
    """Standard error over the queries of what an order adds to the gain share."""
    areas = [
        np.trapezoid(result.curve.merged[metric], result.curve.coverage, axis=0)
        for result in (one, *random)
    ]
    added = areas[0] - np.mean(areas[1:], axis=0)
    gap = one.new_new[metric] - one.old_old[metric]
    return round(float(added.std() / np.sqrt(len(added)) / abs(gap)), 4)


def _page(runs: Iterable[dict[str, Any]]) -> str:
    intro = (
        "Gain share under a random order (mean of three seeds), and the points that each order "
        "adds to it, with one standard error over the queries; mean over the draws of the data. "
        "`python -m benchmarks.orders` says what the columns are. Suites that are no upgrade are "
        "left out. The method `auto` fits its map again on the way, so that a share of the items "
        "comes at random first, and the true residual bounds nothing.\n"
    )
    parts = [intro]
    shown = sorted((run for run in runs if run["is_upgrade"]), key=_part_of)
    for (method, mode), group in groupby(shown, key=_part_of):
        by_suite: dict[str, list[dict[str, Any]]] = {}
        for run in group:
            by_suite.setdefault(run["suite"], []).append(run)
        parts.append(f"\n## {method}, {mode}\n\n| suite | draws | random | ")
        parts.append(" | ".join(ORDERS) + " |\n|---|---|---|" + "---|" * len(ORDERS) + "\n")
        parts.extend(_row(own, suite) for suite, own in by_suite.items())
        parts.append(_summary(list(by_suite.values())))
    return "".join(parts)


def _part_of(run: dict[str, Any]) -> tuple[str, str]:
    return run["method"], run["mode"]


def _row(runs: Sequence[dict[str, Any]], name: str) -> str:
    cells = []
    for order in ORDERS:
        points = _points(runs, order)
        cells.append("-" if points is None else f"{points:+.1f} ± {_spread(runs, order):.1f}")
    random = 100 * np.mean([run["random"] for run in runs])
    return f"| {name} | {len(runs)} | {random:.1f} % | {' | '.join(cells)} |\n"


def _summary(suites: Sequence[Sequence[dict[str, Any]]]) -> str:
    means, lifted = [], []
    for order in ORDERS:
        points = [one for runs in suites if (one := _points(runs, order)) is not None]
        means.append(f"**{np.mean(points):+.1f}**" if points else "-")
        many = sum(one >= _WANTED_POINTS for one in points)
        lifted.append(f"{many} of {len(points)}" if points else "-")
    return (
        f"| **mean** | | | {' | '.join(means)} |\n"
        f"| suites with {_WANTED_POINTS} points or more | | | {' | '.join(lifted)} |\n"
    )


def _points(runs: Sequence[dict[str, Any]], order: str) -> float | None:
    """What an order adds to random, in points of gain share; mean over the draws."""
    added = [run["gain_share"][order] - run["random"] for run in runs if order in run["gain_share"]]
    return 100.0 * float(np.mean(added)) if added else None


def _spread(runs: Sequence[dict[str, Any]], order: str) -> float:
    errors = [run["error"][order] for run in runs if order in run["error"]]
    return 100.0 * float(np.sqrt(np.square(errors).sum()) / len(errors))


def _key(run: dict[str, Any]) -> tuple[Any, ...]:
    return run["suite"], run["seed"], run["method"], run["mode"]


if __name__ == "__main__":
    main()
