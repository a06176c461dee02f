"""Orders of backfilling: what each adds to the gain share of a random order.

Every local suite is fitted once, by forward ridge and by ``auto``, without labels; curves are
measured in one-encoder and in two-encoder mode, in the same gallery with the same queries, under
every order. Random is the mean of three seeds. ``auto`` is the order that fitting chose on
held-out pairs, ``traffic`` and ``expected_gain+log`` read a log of what the old system
answered to the other half of the queries; ``oracle`` knows the true residual: a bound of what
predicts it, no order of a job.

    python -m benchmarks.orders [SUITE ...] [--methods forward_ridge auto] [--queries 300]

A SUITE is a name of ``crossfade bench list``, a family, all-local, or a folder of your own.
"""

from __future__ import annotations

import argparse
import json
import tempfile
from collections import Counter
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from itertools import groupby
from pathlib import Path
from typing import Any

import numpy as np

from crossfade.bench.dataset import DataSet
from crossfade.bench.suite import BuildPlan, Suite
from crossfade.bench.suites import suites_named
from crossfade.embeddings import Pairs
from crossfade.errors import CrossfadeError, InvalidInput
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
    data: DataSet
    queries: Pairs
    log: Path


def main() -> None:
    """Measure suite by suite, and write the tables after each."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("suites", nargs="*", default=["all-local"])
    parser.add_argument("--methods", nargs="+", default=list(METHODS))
    parser.add_argument("--queries", type=int, default=300, help="measured, at most")
    arguments = parser.parse_args()
    path = RESULTS / "orders.jsonl"
    runs = {_key(run): run for run in _read(path)}
    for suite in suites_named(arguments.suites):
        with tempfile.TemporaryDirectory() as folder:
            try:
                task = _task(suite, Path(folder) / "log", arguments.queries)
            except CrossfadeError as error:
                print(f"{suite.name}: {error}", flush=True)
                continue
            for method in arguments.methods:
                for run in _measure(task, method):
                    runs[_key(run)] = run
                    print(_line(run), flush=True)
                    path.write_text(
                        "".join(json.dumps(one) + "\n" for one in runs.values()), encoding="utf-8"
                    )
                    (RESULTS / "orders.md").write_text(_page(runs.values()), encoding="utf-8")


def _task(suite: Suite, log: Path, most: int) -> Task:
    data = suite.build(BuildPlan(0, False, lambda line: print(line, flush=True)))
    everyone = data.gallery if data.queries is None else data.queries
    rows = np.random.default_rng(7).permutation(len(everyone))
    half = len(rows) // 2
    seen, measured = (everyone.subset(np.sort(part)) for part in (rows[half:], rows[:half][:most]))
    counts = _answers(seen, data.gallery)
    log.write_text("".join(f"{id}\t{times}\n" for id, times in counts.items()), encoding="utf-8")
    return Task(suite, data, measured, log)


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


def _measure(task: Task, method: str) -> Iterable[dict[str, Any]]:
    data = task.data
    pairs = data.fit if data.fit.labels is None else data.fit.without_labels()
    upgrade = fit(pairs, method)
    if data.fit.labels is not None and upgrade.method == "forward_ridge":
        labelled = fit(data.fit, "forward_ridge")  # the same map, and the classes' means
    else:
        labelled = None
    for mode in MODES:
        random = [_evaluate(task, upgrade, mode, "random", seed) for seed in range(_RANDOM_SEEDS)]
        found = {
            order: result
            for order in ORDERS
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
        "worst_point": {name: round(one.worst_point[metric], 5) for name, one in found.items()},
        "drop": {name: round(one.drop[metric], 5) for name, one in found.items()},
    }


def _page(runs: Iterable[dict[str, Any]]) -> str:
    intro = (
        "Gain share under a random order (mean of three seeds), and the points that each order "
        "adds to it; one fit, seed 0, at most 300 queries. `python -m benchmarks.orders` says "
        "what the columns are. Suites that are no upgrade are left out.\n"
    )
    shown = sorted(
        (run for run in runs if run["is_upgrade"]), key=lambda run: (run["method"], run["mode"])
    )
    parts = [intro]
    for (method, mode), group in groupby(shown, key=lambda run: (run["method"], run["mode"])):
        own = list(group)
        parts.append(f"\n## {method}, {mode}\n\n| suite | random | chosen | ")
        parts.append(" | ".join(ORDERS) + " |\n|---|---|---|" + "---|" * len(ORDERS) + "\n")
        parts.extend(_row(run) for run in own)
        parts.append(_summary(own))
    return "".join(parts)


def _row(run: dict[str, Any]) -> str:
    name = run["suite"] + ("" if run["fitted"] == run["method"] else f" ({run['fitted']})")
    cells = [_points(run, order) for order in ORDERS]
    shown = ["-" if one is None else f"{one:+.1f}" for one in cells]
    return f"| {name} | {100 * run['random']:.1f} % | {run['chosen']} | {' | '.join(shown)} |\n"


def _summary(runs: Sequence[dict[str, Any]]) -> str:
    means, lifted = [], []
    for order in ORDERS:
        points = [one for run in runs if (one := _points(run, order)) is not None]
        means.append(f"**{np.mean(points):+.1f}**" if points else "-")
        lifted.append(f"{sum(one >= _WANTED_POINTS for one in points)} of {len(points)}")
    return (
        f"| **mean** | | | {' | '.join(means)} |\n"
        f"| suites with {_WANTED_POINTS} points or more | | | {' | '.join(lifted)} |\n"
    )


def _points(run: dict[str, Any], order: str) -> float | None:
    share = run["gain_share"].get(order)
    return None if share is None else 100.0 * float(share - run["random"])


def _line(run: dict[str, Any]) -> str:
    return f"{run['method']}, {run['mode']} {_row(run).strip()}"


def _key(run: dict[str, Any]) -> tuple[str, ...]:
    return run["suite"], run["method"], run["mode"]


def _read(path: Path) -> list[dict[str, Any]]:
    if not path.exists():
        return []
    return [json.loads(line) for line in path.read_text(encoding="utf-8").splitlines()]


if __name__ == "__main__":
    main()
