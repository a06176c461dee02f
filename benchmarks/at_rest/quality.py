"""Backfilling curves of each form, and how deep a search of the old vectors has to fetch."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any

import numpy as np
from numpy.typing import NDArray

from benchmarks.at_rest.task import FACTORS, K, Task, slope_of
from crossfade.embeddings import FloatArray
from crossfade.evaluation import evaluate
from crossfade.evaluation.curve import BackfillingCurve, Scores, coverage_grid, curve_from_scores
from crossfade.evaluation.figures import area, gain_share

__all__ = ["LARGER_QUERIES", "TOP_METRIC", "measure_quality"]

TOP_METRIC = "ndcg@10"
"""Depends on the first ten of the merged list alone."""
LARGER_QUERIES = 250
_STEPS = 11
_TOLERANCE = 1e-5
"""Of scores, which are up to 1: float32 over a few hundred products."""
_CHUNK = 500
"""Queries scored at once."""
_DISCOUNTS = 1 / np.log2(np.arange(2, K + 2))
_Search = Callable[[NDArray[np.intp]], FloatArray]
"""From the rows of some queries to their scores of all items."""


def measure_quality(task: Task) -> dict[str, Any]:
    """Of full rankings and of ten results, after asserting that all forms score the same."""
    _assert_equal(task)
    metric, data = task.suite.metric, task.data
    kinds: Mapping[str, _Search] = {
        "at_rest": task.at_rest,
        "divided": task.divided,
        "undivided": task.undivided,
        "by_mean": task.by_mean,
    }
    curves = {name: _curve(task, old) for name, old in kinds.items()}
    check = evaluate(
        task.upgrade,
        data.gallery,
        task.queries,
        qrels=data.qrels,
        ignored=data.ignored,
        seed=task.seed,
    )
    assert np.allclose(check.curve.mean(metric), curves["at_rest"].mean(metric), atol=1e-4)
    for own in (metric, TOP_METRIC):
        assert np.allclose(curves["at_rest"].mean(own), curves["divided"].mean(own), atol=1e-3)
    one = curves["at_rest"]
    return {
        "metric": metric,
        "pairs": len(data.fit),
        "items": len(data.gallery),
        "queries": len(one.queries),
        "dims": [data.gallery.source.dim, data.gallery.target.dim],
        "old_old": round(float(one.old_old[metric].mean()), 5),
        "new_new": round(float(one.new_new[metric].mean()), 5),
        "length_mean": round(float(task.lengths.mean()), 4),
        "length_spread": round(float(task.lengths.std() / task.lengths.mean()), 4),
        "gain_share": _shares(curves, metric),
        "worst_point": {
            name: round(curve.figures(metric).worst_point, 5) for name, curve in curves.items()
        },
        "top_gain_share": _shares(curves, TOP_METRIC),
        "fetched_top_gain_share": _fetched_shares(task, one, task.undivided),
        "tilted_top_gain_share": _fetched_shares(task, one, task.tilted),
        **_recall(task),
    }


def _assert_equal(task: Task) -> None:
    """The scores of all forms are the same but for rounding."""
    rows = np.arange(min(len(task.queries), 500))
    at_rest = task.at_rest(rows)
    narrower = len(task.reverse.affine.weight) + 1 < len(task.reverse.affine.bias)
    for own in (task.divided, *((task.narrow,) if narrower else ())):
        furthest = float(np.abs(own(rows) - at_rest).max())
        assert furthest < _TOLERANCE, f"scores of {own.__name__} differ by {furthest}"


def _shares(curves: Mapping[Any, BackfillingCurve], metric: str) -> dict[str, float]:
    return {str(name): round(curve.figures(metric).gain_share, 4) for name, curve in curves.items()}


def _curve(task: Task, old: _Search) -> BackfillingCurve:
    """The backfilling curve by scores of the old side."""

    def scores(rows: NDArray[np.intp]) -> Scores:
        gallery, queries = task.gallery, task.queries
        new = queries.new_rows(rows) @ gallery.new_rows().T
        plain = queries.old_rows(rows) @ gallery.old_rows().T
        return Scores(new, old(rows), new, plain)

    return curve_from_scores(scores, task.relevance, task.order, coverage_grid(_STEPS))


def _fetched_shares(task: Task, at_rest: BackfillingCurve, search: _Search) -> dict[str, float]:
    """By factor, the gain share if so many items of the old side, the best of a search, are
    divided and merged with the best of the new side."""
    queries = at_rest.queries
    gain = np.zeros((len(FACTORS), _STEPS))
    for start in range(0, len(queries), _CHUNK):
        rows = queries[start : start + _CHUNK]
        for step, coverage in enumerate(at_rest.coverage):
            gain[:, step] += _fetched_gain(task, rows, coverage, search)
    ends = {
        name: float(of[TOP_METRIC].mean())
        for name, of in (("old_old", at_rest.old_old), ("new_new", at_rest.new_new))
    }
    return {
        str(factor): round(gain_share(area(at_rest.coverage, own / len(queries)), **ends), 4)
        for factor, own in zip(FACTORS, gain, strict=True)
    }


def _without_own(task: Task, rows: NDArray[np.intp], search: _Search) -> FloatArray:
    """Scores of a search; what a query leaves out is never fetched."""
    scores = search(rows)
    scores[task.relevance.left_out(rows)] = -np.inf
    return scores


def _fetched_gain(
    task: Task, rows: NDArray[np.intp], coverage: float, search: _Search
) -> list[float]:
    """By factor, the sum of nDCG@10 of some queries at a coverage."""
    n = round(coverage * len(task.order))
    moved, waiting = task.order[:n], task.order[n:]
    new = task.queries.new_rows(rows) @ task.gallery.new_rows().T
    searched, divided = (_without_own(task, rows, own) for own in (search, task.divided))
    new[task.relevance.left_out(rows)] = -np.inf
    grades = task.relevance.grades(rows)
    ideal = -np.sort(-grades.astype(np.float64), axis=1)[:, :K] @ _DISCOUNTS
    direct = moved[_best(new[:, moved], K)]
    mapped = waiting[_ranked(searched[:, waiting], K * max(FACTORS))]
    sums = []
    for factor in FACTORS:
        fetched = mapped[:, : K * factor]
        columns = np.hstack([direct, fetched])
        scores = np.hstack(
            [np.take_along_axis(new, direct, 1), np.take_along_axis(divided, fetched, 1)]
        )
        first = np.lexsort((columns, -scores), axis=-1)[:, :K]
        shown = np.take_along_axis(grades, np.take_along_axis(columns, first, 1), 1)
        sums.append(float((shown @ _DISCOUNTS / ideal).sum()))
    return sums


def _ranked(scores: FloatArray, k: int) -> NDArray[np.intp]:
    """Columns of the k best of each row, best first."""
    best = _best(scores, k)
    order = np.argsort(-np.take_along_axis(scores, best, axis=1), axis=1, kind="stable")
    return np.take_along_axis(best, order, axis=1)


def _best(scores: FloatArray, k: int) -> NDArray[np.intp]:
    """Columns of the k best of each row, in any order."""
    if k >= scores.shape[1]:
        return np.broadcast_to(np.arange(scores.shape[1]), scores.shape)
    return np.argpartition(-scores, k - 1, axis=1)[:, :k]


def _recall(task: Task) -> dict[str, Any]:
    """At coverage 0, where the ten best divided stand in the searches that fetch."""
    undivided, tilted = (_deep(task, search) for search in (task.undivided, task.tilted))
    return {
        "recall": _within(undivided),
        "recall_tilted": _within(tilted),
        "deepest": _quantiles(undivided[:, -1]),
        "deepest_tilted": _quantiles(tilted[:, -1]),
        "among_all": _recall_among_all(task),
    }


def _deep(task: Task, search: _Search) -> NDArray[np.intp]:
    queries = np.flatnonzero(task.relevance.counts() > 0)
    chunks = [queries[start : start + _CHUNK] for start in range(0, len(queries), _CHUNK)]
    return np.concatenate(
        [
            _ranks(_without_own(task, rows, search), _without_own(task, rows, task.divided))
            for rows in chunks
        ]
    )


def _quantiles(deepest: NDArray[np.intp]) -> dict[str, int]:
    shares = {"median": 0.5, "95 %": 0.95, "99 %": 0.99, "most": 1.0}
    return {
        name: int(np.quantile(deepest, share, method="higher")) for name, share in shares.items()
    }


def _recall_among_all(task: Task) -> dict[str, Any] | None:
    """The same of some queries among the items and the pairs fitted on, to see it grow.

    None where the queries are items themselves, and beyond the first seed.
    """
    if task.seed or task.data.queries is None or task.data.fit is task.data.gallery:
        return None
    old = np.concatenate([task.gallery.old_rows(), task.data.fit.old_rows()])
    rows = np.arange(min(len(task.queries), LARGER_QUERIES))
    new, lengths = task.queries.new_rows(rows), task.reverse.lengths(old)
    undivided = task.reverse.queries(new) @ old.T + task.reverse.constants(new)
    tilted = undivided + task.levels(rows) * (old @ slope_of(old, lengths))
    return {
        "items": len(old),
        "recall": _within(_ranks(undivided, undivided / lengths)),
        "recall_tilted": _within(_ranks(tilted, undivided / lengths)),
    }


def _ranks(searched: FloatArray, divided: FloatArray) -> NDArray[np.intp]:
    """Ranks ``(q, 10)`` of the ten best divided among the scores of a search, rising."""
    best = np.take_along_axis(searched, _best(divided, K), axis=1)
    falling = np.sort(-searched, axis=1)
    found = [
        np.searchsorted(row, -own, side="right") for row, own in zip(falling, best, strict=True)
    ]
    return np.sort(np.stack(found), axis=1)


def _within(ranks: NDArray[np.intp]) -> dict[str, float]:
    """By factor, the share of the ranks that are not beyond it."""
    return {str(factor): round(float((ranks <= K * factor).mean()), 4) for factor in FACTORS}
