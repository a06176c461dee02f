"""The protocol of :func:`crossfade.evaluate` for scores and merges that no upgrade holds.

The same coverages, order, relevance, metrics and figures; only the ranking differs: a merge
may look at a whole side, so every coverage is ranked anew, which takes as many sorts as there
are steps.
"""

from __future__ import annotations

from dataclasses import replace

import numpy as np
from numpy.typing import NDArray

from crossfade.baselines.isotonic import with_isotonic_calibration
from crossfade.baselines.merges import MERGES, Merge, merge_named
from crossfade.embeddings import FloatArray, IgnoredItems, Pairs, Qrels
from crossfade.errors import InvalidInput
from crossfade.evaluation import (
    METRICS,
    BackfillingCurve,
    Counts,
    EvaluationResult,
    JudgedRelevance,
    Relevance,
    Scores,
    coverage_grid,
    relevance_of,
)
from crossfade.evaluation.curve import ScoreFunction
from crossfade.evaluation.distributions import sample_distributions
from crossfade.evaluation.orders import backfill_order
from crossfade.evaluation.ranking import rank_plain
from crossfade.evaluation.refits import for_gallery
from crossfade.evaluation.scoring import GalleryScorer
from crossfade.upgrade import Mode, Upgrade

__all__ = ["evaluate_merge", "evaluate_scores"]

ISOTONIC = "isotonic"
_CHUNK_SCORES = 2**22
_SAMPLED_QUERIES = 128


def evaluate_merge(
    upgrade: Upgrade,
    gallery_set: Pairs,
    query_set: Pairs | None = None,
    *,
    merge: str,
    pairs: Pairs | None = None,
    qrels: Qrels | None = None,
    ignored: IgnoredItems | None = None,
    steps: int = 11,
    order: str = "random",
    seed: int = 0,
) -> EvaluationResult:
    """The backfilling curve of an upgrade whose two lists are merged in another way.

    The result's method is ``"UPGRADE+MERGE"``, e.g. ``"ridge+rrf"``. With ``"raw"`` and
    ``"isotonic"`` it is what :func:`crossfade.evaluate` gives for the (calibrated) upgrade.

    Args:
        merge: a name in :data:`crossfade.baselines.MERGES`, or ``"isotonic"``.
        pairs: what ``"isotonic"`` is fitted on.
        gallery_set, query_set, qrels, ignored, steps, order, seed: as
            :func:`crossfade.evaluate` takes them; queries search in one-encoder mode.

    Raises:
        InvalidInput: an unknown merge or order, or ``"isotonic"`` without pairs.
    """
    applied = for_gallery(upgrade, gallery_set)
    calibrated, rule = _calibrated(applied, merge, pairs, seed)
    queries = gallery_set if query_set is None else query_set
    by_id = np.argsort(gallery_set.ids, kind="stable")
    scorer = GalleryScorer(calibrated, gallery_set, queries, by_id, Mode.ONE_ENCODER)
    rows = backfill_order(order, gallery_set, calibrated.without_refits(), seed=seed)
    return evaluate_scores(
        scorer,
        gallery_set,
        queries,
        rows,
        method=f"{upgrade.method}+{merge}",
        merge=rule,
        qrels=qrels,
        ignored=ignored,
        steps=steps,
        order=order,
        seed=seed,
    )


def evaluate_scores(
    scores: ScoreFunction,
    gallery_set: Pairs,
    query_set: Pairs,
    rows_in_order: NDArray[np.intp],
    *,
    method: str,
    merge: Merge = MERGES["raw"],
    qrels: Qrels | None = None,
    ignored: IgnoredItems | None = None,
    steps: int = 11,
    order: str = "given",
    seed: int = 0,
    mode: Mode = Mode.ONE_ENCODER,
) -> EvaluationResult:
    """The backfilling curve of any scores, under any merge and order.

    Args:
        scores: gives the scores of the queries of some rows, columns in the order of the
            gallery's sorted ids.
        rows_in_order: ``(n,)`` rows of the gallery, the one that is backfilled first in front.
        method, order, seed, mode: what the result is to be called.

    Raises:
        InvalidInput: no query has a relevant item, fewer than two steps, or scores are NaN.
    """
    by_id = np.argsort(gallery_set.ids, kind="stable")
    columns = np.empty_like(by_id)
    columns[by_id] = np.arange(len(by_id))
    labels = None if gallery_set.labels is None else gallery_set.labels[by_id]
    # Only ids and labels matter here; the vectors stay where they are.
    named = replace(gallery_set, ids=gallery_set.ids[by_id], labels=labels)
    relevance = relevance_of(query_set, named, qrels, ignored)
    evaluated = np.flatnonzero(relevance.counts() > 0)
    if len(evaluated) == 0:
        raise InvalidInput("no query has a relevant gallery item; check labels and qrels")
    curve = _curve(
        scores, relevance, evaluated, columns[rows_in_order], coverage_grid(steps), merge
    )
    sampled = np.sort(
        np.random.default_rng(seed).choice(
            evaluated, min(_SAMPLED_QUERIES, len(evaluated)), replace=False
        )
    )
    return EvaluationResult(
        method=method,
        source=gallery_set.source,
        target=gallery_set.target,
        order=order,
        seed=seed,
        mode=mode,
        counts=Counts(
            gallery=len(gallery_set),
            queries=len(evaluated),
            skipped=len(query_set) - len(evaluated),
            own_left_out=int(np.count_nonzero(relevance.own[evaluated] >= 0)),
            ignored_judgements=(relevance.ignored if isinstance(relevance, JudgedRelevance) else 0),
        ),
        curve=curve,
        distributions=sample_distributions(scores(sampled), relevance, sampled, seed=seed),
    )


def _calibrated(
    upgrade: Upgrade, merge: str, pairs: Pairs | None, seed: int
) -> tuple[Upgrade, Merge]:
    if merge != ISOTONIC:
        return upgrade, merge_named(merge)
    if pairs is None:
        raise InvalidInput("merge 'isotonic' is fitted: give pairs, such as the fitting pairs")
    return with_isotonic_calibration(upgrade, pairs, seed), MERGES["raw"]


def _curve(
    scores: ScoreFunction,
    relevance: Relevance,
    queries: NDArray[np.intp],
    order: NDArray[np.intp],
    coverage: NDArray[np.float64],
    merge: Merge,
) -> BackfillingCurve:
    steps, q, n = len(coverage), len(queries), len(order)
    curve = BackfillingCurve(
        coverage,
        queries,
        merged={name: np.empty((steps, q)) for name in METRICS},
        old_old={name: np.empty(q) for name in METRICS},
        new_new={name: np.empty(q) for name in METRICS},
    )
    backfilled = np.rint(coverage * n).astype(np.intp)
    chunk = max(1, _CHUNK_SCORES // n)
    for start in range(0, q, chunk):
        at = slice(start, min(start + chunk, q))
        rows = queries[at]
        scored = scores(rows)
        if scored.new_at is not None:
            raise InvalidInput(
                "a merge takes scores that are the same at every coverage; those of two encoders, "
                "or of an upgrade with a log of queries, are not: measure them with "
                "crossfade.evaluate"
            )
        sides = _without(scored, relevance.left_out(rows))
        grades = relevance.grades(rows)
        for step, count in enumerate(backfilled):
            on_new_side = np.zeros(n, dtype=np.bool_)
            on_new_side[order[:count]] = True
            merged = merge(sides.new, sides.old, on_new_side)
            _measure(merged, grades, {name: curve.merged[name][step, at] for name in METRICS})
        for plain, cell in ((sides.old_old, curve.old_old), (sides.new_new, curve.new_new)):
            _measure(plain, grades, {name: cell[name][at] for name in METRICS})
    return curve


def _measure(
    scores: FloatArray, grades: NDArray[np.generic], into: dict[str, NDArray[np.float64]]
) -> None:
    if np.isnan(scores).any():
        raise InvalidInput("merged scores hold NaN; check the merge and the upgrade's maps")
    ranked = rank_plain(scores, grades)
    for name, metric in METRICS.items():
        into[name][:] = metric(ranked)


def _without(scores: Scores, left_out: tuple[NDArray[np.intp], NDArray[np.intp]]) -> Scores:
    """Copies in which what a query leaves out is in no list."""

    def copied(matrix: FloatArray) -> FloatArray:
        out = np.array(matrix, dtype=np.float32)
        out[left_out] = -np.inf
        return out

    return Scores(*map(copied, (scores.new, scores.old, scores.new_new, scores.old_old)))
