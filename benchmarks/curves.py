"""Gain share of the methods on real pairs: the numbers of the README's table.

Fits on the fit rows only, measures on rows never seen, full-gallery ranking, 11 steps,
random order. Seeds are of everything: the embedding models' training where the suite trains
them, fitting, and the order of backfilling. One JSON line a run in ``results/curves.jsonl``,
written as soon as it is known; a run that is already there is not repeated.

    python -m benchmarks.curves [--seeds 3] [--suite NAME ...]
"""

from __future__ import annotations

import argparse
import json
import time
import warnings
from collections import defaultdict
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np

import crossfade
from benchmarks.data.packages import cache_folder

RESULTS = Path(__file__).parent / "results"
METRICS = ("map", "mrr", "cmc@1")


@dataclass(frozen=True)
class Suite:
    """A pair of models on a data set, and what to measure on it.

    Attributes:
        folder: where the data builder puts it; ``{seed}`` for suites that train models.
        metric: the one in the table. methods: fitted in one-encoder mode.
        two_encoder: methods measured in two-encoder mode as well.
        at_first_seed: methods measured with the first seed only (ablations are slow).
    """

    name: str
    folder: str
    metric: str
    methods: tuple[str, ...]
    two_encoder: tuple[str, ...] = ()
    at_first_seed: tuple[str, ...] = ()


_TEXT = ("rank_merge", "forward_ridge", "auto")
_IMAGES = ("forward_ridge", "auto", "contrastive")
_ABLATIONS = ("rank_merge", "rqt", "distillation", "contrastive_without_rho", "contrastive_own")
_FEW = ("rank_merge", "rank_merge_quantile", "forward_ridge", "auto")
SUITES = (
    Suite("wordnet, L3 -> L6", "text/wordnet_minilml3_minilml6", "mrr", _FEW, ("auto",)),
    Suite(
        "emoji, HOG -> EfficientNet", "emoji/twitter_google_hog_efflite0", "mrr", _FEW, ("auto",)
    ),
    Suite("debian, glove -> wordllama", "text/debian_glove50_wordllama256", "mrr", _TEXT),
    Suite("wordnet, glove -> wordllama", "text/wordnet_glove50_wordllama256", "mrr", _TEXT),
    Suite(
        "fashion, extended class",
        "fashion/extended_class/seed{seed}",
        "map",
        _IMAGES,
        at_first_seed=_ABLATIONS,
    ),
    Suite("fashion, extended data", "fashion/extended_data/seed{seed}", "map", _IMAGES),
)
LABELLED = ("contrastive", "contrastive_without_rho", "contrastive_own")


def main() -> None:
    """Run what is missing, then write the table."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--seeds", type=int, default=3)
    parser.add_argument("--suite", nargs="*", default=[suite.name for suite in SUITES])
    arguments = parser.parse_args()
    RESULTS.mkdir(exist_ok=True)
    done = {_key(run): run for run in _read()}
    for suite in SUITES:
        if suite.name in arguments.suite:
            for seed in range(arguments.seeds):
                _run_suite(suite, suite.methods, seed, done)
    for suite in SUITES:
        if suite.name in arguments.suite:
            _run_suite(suite, suite.at_first_seed, 0, done)
    (RESULTS / "curves.md").write_text(_table(list(done.values())), encoding="utf-8")


def _run_suite(
    suite: Suite, methods: tuple[str, ...], seed: int, done: dict[Any, dict[str, Any]]
) -> None:
    folder = cache_folder() / suite.folder.format(seed=seed)
    if not folder.exists():
        print(f"{suite.name}: no data at {suite.folder}; build it with python -m benchmarks.data")
        return
    wanted = [(method, "one-encoder") for method in methods]
    wanted += [(method, "two-encoder") for method in suite.two_encoder]
    missing = [
        (method, mode) for method, mode in wanted if (suite.name, seed, method, mode) not in done
    ]
    fitted: dict[str, crossfade.Upgrade] = {}
    for method, mode in missing:
        if method not in fitted:
            fitted[method] = _fit(folder, method, seed)
        run = {"suite": suite.name, "seed": seed, "method": method, "mode": mode}
        run |= _measure(fitted[method], folder, seed, mode)
        done[_key(run)] = run
        with (RESULTS / "curves.jsonl").open("a", encoding="utf-8") as file:
            file.write(json.dumps(run) + "\n")
        share, worst = run["gain_share"][suite.metric], run["worst_point"][suite.metric]
        print(f"{suite.name} {seed} {method} {mode}: {share:.1%}, worst {worst:+.4f}", flush=True)


def _fit(folder: Path, method: str, seed: int) -> crossfade.Upgrade:
    pairs = crossfade.Pairs.load(folder / "fit.npz")
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", UserWarning)
        return crossfade.fit(
            pairs if method in LABELLED else pairs.without_labels(), method, seed=seed
        )


def _measure(upgrade: crossfade.Upgrade, folder: Path, seed: int, mode: str) -> dict[str, Any]:
    started = time.monotonic()
    queries = folder / "queries.npz"
    result = crossfade.evaluate(
        upgrade,
        crossfade.Pairs.load(folder / "gallery.npz"),
        crossfade.Pairs.load(queries) if queries.exists() else None,
        qrels=crossfade.Qrels.load(folder / "qrels.txt") if queries.exists() else None,
        seed=seed,
        mode=mode,
    ).to_json()
    return {
        "chosen": upgrade.method,
        "fit_seconds": upgrade.report["seconds"],
        "evaluate_seconds": round(time.monotonic() - started, 1),
        "curve": {name: _round(result["metrics"][name]) for name in METRICS},
        **{
            figure: {name: round(result[figure][name], 5) for name in METRICS}
            for figure in (
                "old_old",
                "new_new",
                "gain_share",
                "worst_point",
                "drop",
                "end_point",
            )
        },
        "negative_flips": _round(result["negative_flips"]),
    }


def _table(runs: list[dict[str, Any]]) -> str:
    grouped: dict[tuple[str, str, str], list[dict[str, Any]]] = defaultdict(list)
    for run in runs:
        grouped[run["suite"], run["method"], run["mode"]].append(run)
    lines = [
        "Mean over seeds, spread is the standard deviation; made by `python -m benchmarks.curves`.",
        "",
        "| suite | method | mode | seeds | old -> new | gain share | worst | drop | end point |",
        "|---|---|---|---|---|---|---|---|---|",
        *_rows(grouped),
    ]
    return "\n".join(lines) + "\n"


def _rows(grouped: dict[tuple[str, str, str], list[dict[str, Any]]]) -> Iterator[str]:
    metric_of = {suite.name: suite.metric for suite in SUITES}
    place = {suite.name: index for index, suite in enumerate(SUITES)}
    for (suite, method, mode), runs in sorted(grouped.items(), key=lambda item: place[item[0][0]]):
        metric = metric_of[suite]

        def values(figure: str, runs: Any = runs, metric: str = metric) -> Any:
            return np.array([run[figure][metric] for run in runs])

        chosen = sorted({run["chosen"] for run in runs})
        name = method if method != "auto" else f"auto ({', '.join(chosen)})"
        share = 100 * values("gain_share")
        yield (
            f"| {suite}, {metric} | {name} | {mode} | {len(runs)} "
            f"| {values('old_old').mean():.3f} -> {values('new_new').mean():.3f} "
            f"| {share.mean():.0f} % ± {share.std():.1f} | {values('worst_point').min():+.3f} "
            f"| {values('drop').max():.3f} | {values('end_point').mean():+.3f} |"
        )


def _key(run: dict[str, Any]) -> tuple[str, int, str, str]:
    return run["suite"], run["seed"], run["method"], run["mode"]


def _read() -> list[dict[str, Any]]:
    path = RESULTS / "curves.jsonl"
    if not path.exists():
        return []
    return [json.loads(line) for line in path.read_text(encoding="utf-8").splitlines()]


def _round(values: list[float]) -> list[float]:
    return [round(value, 5) for value in values]


if __name__ == "__main__":
    main()
