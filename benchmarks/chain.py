"""A chain of three models: the next upgrade begun in the middle of one.

A gallery goes from v1 to v2, random order, and is left at some coverage; then v3 comes. Every item
holds the vector of v1, some that of v2 as well. What follows is measured at the coverages 0, .1 ...
1 of v3, in random order:

- ``chain``: every item not yet backfilled is mapped straight from its newest vector
- ``composed``: items without v2 are mapped v1 -> v2 -> v3 instead
- ``from v1``: the first upgrade is rolled back and its work thrown away; all is mapped from v1
- ``finish first``: the backfill to v2 goes on to its end, then v3 begins

The first three end after as many encodes as there are items; the last takes more, so all are
compared by the mean quality over as many encodes as it takes, the others resting at their end.

    python -m benchmarks.chain [--seeds 3] [--methods forward_ridge forward_mlp]

Documents of three corpora, GloVe -> wordllama -> MiniLM-L6; queries and documents that fitting
never sees. Results: ``benchmarks/results/chain.jsonl`` and ``.md``.
"""

from __future__ import annotations

import argparse
import json
from collections.abc import Callable, Iterator
from itertools import groupby
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

import crossfade
from crossfade.bench.cache import embed_cached
from crossfade.bench.models.text import GLOVE, MINILM_L6, WORDLLAMA, text_model
from crossfade.bench.suites.corpora import (
    Entry,
    debian_descriptions,
    vital_articles,
    wordnet_nouns,
)
from crossfade.embeddings import FloatArray, Pairs, normalise

RESULTS = Path(__file__).parent / "results"
MODELS = (GLOVE, WORDLLAMA, MINILM_L6)
CORPORA: dict[str, tuple[Callable[[], list[Entry]], int, int]] = {
    "wordnet": (wordnet_nouns, 20_000, 10_000),
    "debian": (debian_descriptions, 10_000, 5_000),
    "vital": (vital_articles, 20_000, 4_000),
}
"""Documents in all, and those of the gallery; the rest is fitted on."""
QUERIES = 1_000
REACHED = (0.0, 0.25, 0.5, 0.75)
"""Coverages of v2 at which v3 comes."""
STEPS = 10

Views = dict[str, FloatArray]


def main() -> None:
    """Measure, and write the tables."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--seeds", type=int, default=3)
    parser.add_argument("--methods", nargs="*", default=["forward_ridge", "forward_mlp"])
    parser.add_argument("--corpora", nargs="*", default=list(CORPORA))
    asked = parser.parse_args()
    runs: list[dict[str, Any]] = []
    for corpus in asked.corpora:
        for seed in range(asked.seeds):
            runs += _measure(corpus, seed, asked.methods)
    lines = "".join(json.dumps(run) + "\n" for run in runs)
    (RESULTS / "chain.jsonl").write_text(lines, encoding="utf-8")
    (RESULTS / "chain.md").write_text(_page(runs), encoding="utf-8")


def _measure(corpus: str, seed: int, methods: list[str]) -> Iterator[dict[str, Any]]:
    make, pool, gallery = CORPORA[corpus]
    entries = make()
    sample = np.random.default_rng(0).permutation(len(entries))[:pool]
    order = np.random.default_rng(seed).permutation(len(sample))
    asked = order[:QUERIES]
    documents = _embedded([entries[row].document for row in sample])
    queries = _embedded([entries[row].query for row in sample[asked]])
    fitted, held = order[gallery:], order[:gallery]
    for method in methods:

        def between(old: str, new: str, method: str = method) -> crossfade.Upgrade:
            pairs = Pairs.of(
                fitted, documents[old][fitted], documents[new][fitted], old_name=old, new_name=new
            )
            return crossfade.fit(pairs, method, seed=seed)

        first, following = between(GLOVE, WORDLLAMA), between(WORDLLAMA, MINILM_L6)
        upgrade = crossfade.chained(first, following, between(GLOVE, MINILM_L6))
        own = {name: rows[held] for name, rows in documents.items()}
        for run in _chains(upgrade, own, queries, seed):
            print(corpus, method, seed, run["reached"], run["way"], run["mean"], flush=True)
            yield {"corpus": corpus, "method": method, "seed": seed, "pairs": len(fitted), **run}


def _embedded(texts: list[str]) -> Views:
    return {
        name: normalise(embed_cached(name, texts, text_model(name), str.encode, print))
        for name in MODELS
    }


def _chains(
    upgrade: crossfade.Upgrade, own: Views, queries: Views, seed: int
) -> Iterator[dict[str, Any]]:
    assert upgrade.earlier is not None
    first = upgrade.earlier.upgrade
    v1, v2, v3 = (own[name] for name in MODELS)
    old, new = queries[WORDLLAMA], upgrade.store_new(queries[MINILM_L6])
    onto2, onto3 = first.map_items(v1), upgrade.map_items(v2)
    assert onto2 is not None and onto3 is not None
    composed = upgrade.map_items(onto2)
    assert composed is not None
    maps: dict[str, tuple[FloatArray, FloatArray]] = {
        "chain": (upgrade.earlier.map_items(v1), onto3),
        "composed": (composed, onto3),
        "from v1": (upgrade.earlier.map_items(v1), upgrade.earlier.map_items(v1)),
    }
    rng = np.random.default_rng([seed, 7])
    ranks2, ranks3 = rng.permutation(len(v1)), rng.permutation(len(v1))
    ends = {"v1": _mrr(queries[GLOVE], v1), "v2": _mrr(old, v2), "v3": _mrr(new, v3)}
    for reached in REACHED:
        has2 = ranks2 < reached * len(v1)
        before = _mrr(old, np.where(has2[:, None], v2, onto2))
        finish = [
            _mrr(old, np.where((ranks2 < at * len(v1))[:, None], v2, onto2))
            for at in np.linspace(reached, 1, STEPS + 1)
        ]
        curves = {
            way: [
                _mrr(new, _mixed(ranks3 < at * len(v1), v3, has2, newer, older))
                for at in np.linspace(0, 1, STEPS + 1)
            ]
            for way, (older, newer) in maps.items()
        }
        after = [
            _mrr(new, np.where((ranks3 < at * len(v1))[:, None], v3, onto3))
            for at in np.linspace(0, 1, STEPS + 1)
        ]
        extra = 1 - reached
        for way, curve in curves.items():
            mean = (_area(curve) + extra * curve[-1]) / (1 + extra)
            yield _run(reached, way, before, ends, curve, mean)
        mean = (extra * _area(finish) + _area(after)) / (1 + extra)
        yield _run(reached, "finish first", before, ends, [*finish, *after], mean)


def _run(
    reached: float, way: str, before: float, ends: dict[str, float], curve: list[float], mean: float
) -> dict[str, Any]:
    return {
        "reached": reached,
        "way": way,
        "before": round(before, 4),
        "ends": {name: round(value, 4) for name, value in ends.items()},
        "curve": [round(value, 4) for value in curve],
        "worst": round(min(curve) - before, 4),
        "mean": round(mean, 4),
    }


def _mixed(
    has3: NDArray[np.bool_],
    v3: FloatArray,
    has2: NDArray[np.bool_],
    newer: FloatArray,
    older: FloatArray,
) -> FloatArray:
    return np.where(has3[:, None], v3, np.where(has2[:, None], newer, older))


def _mrr(queries: FloatArray, items: FloatArray) -> float:
    """Query i asks for item i; ties count against it."""
    scores = queries @ items.T
    wanted = scores[np.arange(len(queries)), np.arange(len(queries))][:, None]
    ranks = (scores > wanted).sum(axis=1) + (scores == wanted).sum(axis=1)
    return float(np.mean(1 / ranks))


def _area(curve: list[float]) -> float:
    return float(np.trapezoid(curve, dx=1 / (len(curve) - 1)))


def _page(runs: list[dict[str, Any]]) -> str:
    lines = [
        "# A chain of three models: v3 comes while v1 -> v2 is under way",
        "",
        "MRR, mean of the seeds. `before`: the gallery in the middle of the first upgrade, one "
        "encoder. `start`, `half`, `end`: of what follows, by encodes of v3; for `finish first` of "
        "both backfills, one after the other. `worst`: the least of it less `before`. `mean`: "
        "over as many encodes as `finish first` takes. "
        "Written by `python -m benchmarks.chain`, which says what the ways are.",
    ]

    def key(run: dict[str, Any]) -> tuple[str, str]:
        return run["corpus"], run["method"]

    for (corpus, method), chosen in groupby(sorted(runs, key=key), key):
        found = list(chosen)
        ends = {name: _mean(run["ends"][name] for run in found) for name in ("v1", "v2", "v3")}
        told = ", ".join(f"{name} {value:.3f}" for name, value in ends.items())
        lines += [
            "",
            f"## {corpus}, {' -> '.join(MODELS)}, {method}",
            "",
            f"{found[0]['pairs']:,} pairs; each model alone: {told}.",
            "",
            "| coverage of v2 | before | way | start | half | end | worst | mean |",
            "|---|---|---|---|---|---|---|---|",
        ]
        for reached in REACHED:
            for way in ("chain", "composed", "from v1", "finish first"):
                of_it = [run for run in found if (run["reached"], run["way"]) == (reached, way)]
                curve = np.mean([run["curve"] for run in of_it], axis=0)
                before = _mean(run["before"] for run in of_it)
                worst, mean = (_mean(run[name] for run in of_it) for name in ("worst", "mean"))
                lines.append(
                    f"| {reached:.2f} | {before:.3f} | {way} | {curve[0]:.3f} "
                    f"| {curve[len(curve) // 2]:.3f} | {curve[-1]:.3f} | {worst:+.3f} "
                    f"| {mean:.3f} |"
                )
    return "\n".join([*lines, ""])


def _mean(values: Any) -> float:
    return float(np.mean(list(values)))


if __name__ == "__main__":
    main()
