"""What ``python -m benchmarks.at_rest`` runs."""

from __future__ import annotations

import argparse
import json
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import benchmarks.at_rest
from benchmarks.at_rest.costs import measure_costs
from benchmarks.at_rest.page import page_of
from benchmarks.at_rest.quality import measure_quality
from benchmarks.at_rest.task import build_task
from benchmarks.json_lines import read_lines, write_lines
from crossfade.bench.suites import suites_named

RESULTS = Path(__file__).parents[1] / "results"
SUITES = (
    "fashion-extended-class",
    "wesnoth-rows",
    "stamps",
    "emoji-vendors",
    "wordnet-glove-wordllama",
    "debian-glove-wordllama",
    "vital-wordllama-l6",
    "debian-l3-l6",
)


def main() -> None:
    """Measure suite by suite, and write the tables after each."""
    parser = argparse.ArgumentParser(
        prog="python -m benchmarks.at_rest", description=benchmarks.at_rest.__doc__
    )
    parser.add_argument("suites", nargs="*", default=list(SUITES))
    parser.add_argument("--seeds", type=int, default=3, help="draws of the data")
    parser.add_argument("--queries", type=int, default=2_000, help="measured, at most")
    parser.add_argument("--no-curves", action="store_true", help="costs alone")
    parser.add_argument("--no-costs", action="store_true", help="curves alone")
    arguments = parser.parse_args()
    runs = {_key(run): run for run in read_lines(RESULTS / "at_rest.jsonl")}
    for suite in suites_named(arguments.suites):
        for seed in range(1 if arguments.no_curves else arguments.seeds):
            task = build_task(suite, seed, arguments.queries)
            found = [] if arguments.no_curves else [{"what": "curves", **measure_quality(task)}]
            if seed == 0 and not arguments.no_costs:
                found.append({"what": "costs", **measure_costs(task)})
            for one in found:
                run = {"suite": suite.name, "seed": seed, **one}
                print(json.dumps(run), flush=True)
                runs[_key(run)] = run
            _write([runs[key] for key in sorted(runs, key=_place)])


def _write(runs: Sequence[dict[str, Any]]) -> None:
    write_lines(RESULTS / "at_rest.jsonl", runs)
    (RESULTS / "at_rest.md").write_text(page_of(runs), encoding="utf-8")


def _key(run: dict[str, Any]) -> tuple[str, int, str]:
    return run["suite"], run["seed"], run["what"]


def _place(key: tuple[str, int, str]) -> tuple[int, str, int, str]:
    name, seed, what = key
    return SUITES.index(name) if name in SUITES else len(SUITES), name, seed, what


if __name__ == "__main__":
    main()
