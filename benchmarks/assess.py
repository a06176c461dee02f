"""What `assess` says from a sample, against what is measured afterwards on everything.

The sample is a suite's pairs to fit on and, where the suite has queries, every second of them.
What it recommends is then fitted on all pairs and measured on the suite's gallery, with the
other half of the queries; where there are none, with the gallery's items, none of which the
assessment saw.

    python -m benchmarks.assess [--suites emoji-vendors ...] [--quick] [--methods ...] [--log]

With --log the suites of text are assessed, and fitted, with their log of queries.
"""

from __future__ import annotations

import argparse
import json
from pathlib import Path
from typing import Any

import numpy as np

from crossfade.assessment import Assessment, Regret, assess
from crossfade.assessment.prediction import TOLERATED_LOSS
from crossfade.bench.dataset import DataSet
from crossfade.bench.suite import BuildPlan, Suite
from crossfade.bench.suites import suites_named
from crossfade.embeddings import Pairs, QueryLog
from crossfade.evaluation import EvaluationResult, evaluate
from crossfade.fit.api import fit
from crossfade.upgrade import Mode

RESULTS = Path(__file__).parent / "results"
SUITES = (
    "emoji-step-back",
    "emoji-vendors",
    "wesnoth",
    "stamps",
    "wordnet",
    "debian",
    "vital",
    "fashion",
)
_HEADER = (
    "| suite | verdict | new - old, predicted | measured | recommended | evidence "
    "| gain share, predicted | measured | worst point, predicted | measured |\n"
    "|---|---|---|---|---|---|---|---|---|---|\n"
)
_REGRET_HEADER = (
    "\n## Regret with one encoder\n\n"
    "Regret is a point more than 0.5 % of the old model's value below it. It is warned of if any "
    "evidence says that it is likely or possible: kinds of items that fitting never saw too, "
    "which the measured gallery may not hold.\n\n"
    "| suite | method | predicted worst point, each evidence | regret, predicted "
    "| measured worst point | |\n|---|---|---|---|---|---|\n"
)


def main() -> None:
    """Assess, measure, and write the table."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--suites", nargs="+", default=list(SUITES))
    parser.add_argument("--methods", nargs="+", default=None, help="instead of assess's own")
    parser.add_argument("--log", action="store_true", help="with the suite's log of queries")
    parser.add_argument("--quick", action="store_true", help="small sets, for a look")
    arguments = parser.parse_args()
    runs = _earlier()
    for suite in suites_named(arguments.suites):
        run = _run(suite, arguments.methods, with_log=arguments.log, quick=arguments.quick)
        runs[run["suite"]] = run
        print(json.dumps(run), flush=True)
        lines = "".join(json.dumps(run) + "\n" for run in runs.values())
        (RESULTS / "assess.jsonl").write_text(lines, encoding="utf-8")
        (RESULTS / "assess.md").write_text(_page(list(runs.values())), encoding="utf-8")


def _earlier() -> dict[str, dict[str, Any]]:
    """Suites measured before; they are replaced one by one."""
    path = RESULTS / "assess.jsonl"
    lines = path.read_text(encoding="utf-8").splitlines() if path.exists() else []
    return {run["suite"]: run for run in map(json.loads, lines)}


def _run(suite: Suite, methods: list[str] | None, *, with_log: bool, quick: bool) -> dict[str, Any]:
    data = suite.build(BuildPlan(0, quick, lambda line: print(line, flush=True)))
    log = data.logs.get("queries") if with_log else None
    if with_log and log is None:
        raise SystemExit(f"{suite.name} has no log of queries")
    seen, unseen = _halves(data.queries)
    said = assess(
        data.fit,
        seen,
        gallery=data.gallery if data.queries is not None else None,
        qrels=data.qrels,
        log=log,
        methods=methods,
        metric=suite.metric,
    )
    return {
        "suite": f"{suite.name}, with a log" if with_log else suite.name,
        "said": {**said.to_json(), "predictions": [_brief(one) for one in _chosen(said)]},
        "measured": _measured(said, data, unseen, suite.metric, log),
        "one_encoder": _one_encoder(said, data, unseen, suite.metric, log),
    }


def _halves(queries: Pairs | None) -> tuple[Pairs | None, Pairs | None]:
    """Every second query for the assessment, the others for the measurement."""
    if queries is None:
        return None, None
    rows = np.arange(len(queries))
    return queries.subset(rows[::2]), queries.subset(rows[1::2])


def _measured(
    said: Assessment, data: DataSet, queries: Pairs | None, metric: str, log: QueryLog | None
) -> dict[str, Any]:
    """The curve of what was recommended; of rank merge, for the gain, where nothing was."""
    advice = said.recommendation
    method = "rank_merge" if advice is None else advice.candidate.method
    mode = Mode.ONE_ENCODER if advice is None else advice.candidate.mode
    upgrade = fit(data.fit.without_labels(), method, queries=log)
    result: EvaluationResult = evaluate(
        upgrade, data.gallery, queries, qrels=data.qrels, ignored=data.ignored, mode=mode
    )
    old, new = result.old_old[metric], result.new_new[metric]
    return {
        "old_old": old,
        "new_new": new,
        "gain_share": result.gain_share[metric] if advice else None,
        "worst_point": result.worst_point[metric] / old if advice else None,
        "curve": result.metrics[metric] if advice else None,
    }


def _one_encoder(
    said: Assessment, data: DataSet, queries: Pairs | None, metric: str, log: QueryLog | None
) -> dict[str, Any] | None:
    """Predicted and measured regret with one encoder, of the first method compared."""
    alone = [one.candidate for one in said.predictions if one.candidate.mode is Mode.ONE_ENCODER]
    if not alone:
        return None
    predicted = said.of(alone[0])
    upgrade = fit(data.fit.without_labels(), alone[0].method, queries=log)
    result = evaluate(upgrade, data.gallery, queries, qrels=data.qrels, ignored=data.ignored)
    order = list(Regret)
    return {
        "method": alone[0].method,
        "regret": max((one.regret for one in predicted), key=order.index).value,
        "predicted": [
            {"held_out": one.held_out.value, "worst_point": one.worst_point.describe()}
            for one in predicted
        ],
        "measured": result.worst_point[metric] / result.old_old[metric],
    }


def _chosen(said: Assessment) -> list[dict[str, Any]]:
    advice = said.recommendation
    return [] if advice is None else [one.describe() for one in said.of(advice.candidate)]


def _brief(prediction: dict[str, Any]) -> dict[str, Any]:
    return {**prediction, "curve": [point["value"] for point in prediction["curve"]]}


def _page(runs: list[dict[str, Any]]) -> str:
    intro = (
        "The sample is the suite's pairs to fit on and every second query; measured with the "
        "others, or with gallery items that the assessment did not see. Values with their 95 % "
        "intervals; the worst point is a share of the old model's. `python -m "
        "benchmarks.assess`.\n\n"
    )
    rows = "".join(line for run in runs for line in _rows(run))
    regrets = "".join(_regret_row(run) for run in runs if run.get("one_encoder"))
    return intro + _HEADER + rows + _REGRET_HEADER + regrets


def _regret_row(run: dict[str, Any]) -> str:
    one = run["one_encoder"]
    evidence = ", ".join(
        f"{part['held_out']} {_percent(part['worst_point'])}" for part in one["predicted"]
    )
    warned, regretted = one["regret"] != Regret.NONE.value, one["measured"] < -TOLERATED_LOSS
    came_true = {
        (True, True): "warned of",
        (True, False): "false alarm",
        (False, True): "**missed**",
        (False, False): "rightly not warned of",
    }
    return (
        f"| {run['suite']} | {one['method']} | {evidence} | {one['regret']} "
        f"| {100 * one['measured']:+.1f} % | {came_true[warned, regretted]} |\n"
    )


def _rows(run: dict[str, Any]) -> list[str]:
    said, measured = run["said"], run["measured"]
    advice = said["recommendation"]
    difference = measured["new_new"] - measured["old_old"]
    head = (
        f"| {run['suite']} | {said['verdict']} | {_plain(said['gain']['difference'])} "
        f"| {difference:+.3f} "
    )
    if advice is None:
        return [head + "| - | - | - | - | - | - |\n"]
    return [
        f"{head if number == 0 else '| | | | '}"
        f"| {advice['method']}, {advice['mode']} | {one['held_out']} "
        f"| {_percent(one['gain_share'])} | {100 * measured['gain_share']:.0f} % "
        f"| {_percent(one['worst_point'])} | {100 * measured['worst_point']:+.1f} % |\n"
        for number, one in enumerate(said["predictions"])
    ]


def _plain(interval: dict[str, float]) -> str:
    return f"{interval['value']:+.3f} [{interval['low']:+.3f}, {interval['high']:+.3f}]"


def _percent(interval: dict[str, float] | None) -> str:
    if interval is None:
        return "-"
    value, low, high = (100 * interval[name] for name in ("value", "low", "high"))
    return f"{value:.1f} % [{low:.1f}, {high:.1f}]"


if __name__ == "__main__":
    main()
