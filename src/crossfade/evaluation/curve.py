"""The backfilling curve from scores: every metric of every query at every coverage."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from typing import Any

import numpy as np
from numpy.typing import NDArray

from crossfade.embeddings import FloatArray
from crossfade.errors import InvalidInput
from crossfade.evaluation.figures import Figures, figures_of_merit
from crossfade.evaluation.metrics import METRICS
from crossfade.evaluation.ranking import rank_merged, rank_plain, turning_steps
from crossfade.evaluation.relevance import Relevance

__all__ = ["BackfillingCurve", "ScoreFunction", "Scores", "coverage_grid", "curve_from_scores"]

Values = NDArray[np.float64]
_CHUNK_SCORES = 2**23
_BLOCK_SCORES = 2**16


@dataclass(frozen=True, eq=False)
class Scores:
    """Scores of some queries against all items, each ``(b, n)`` float32, columns in id order.

    Attributes:
        new: an item's score once it is backfilled. old: its score before.
        new_new: the new model alone. old_old: the old model alone.
        new_at: from a coverage to the scores of backfilled items there, where they depend on
            it (two encoders); None where they are always ``new``.
        old_at: likewise of the others, where the map is fitted again; ``old`` at coverage 0.
    """

    new: FloatArray
    old: FloatArray
    new_new: FloatArray
    old_old: FloatArray
    new_at: Callable[[float], FloatArray] | None = field(default=None, kw_only=True)
    old_at: Callable[[float], FloatArray] | None = field(default=None, kw_only=True)

    @property
    def depend_on_coverage(self) -> bool:
        """Whether scores change on the way, beside the sides of their items."""
        return self.new_at is not None or self.old_at is not None

    def new_side(self, coverage: float) -> FloatArray:
        """Scores of backfilled items at this coverage."""
        return self.new if self.new_at is None else self.new_at(coverage)

    def old_side(self, coverage: float) -> FloatArray:
        """Scores of all others at this coverage."""
        return self.old if self.old_at is None else self.old_at(coverage)

    def of(self, queries: slice) -> Scores:
        """The scores of some of these queries."""
        new_at, old_at = self.new_at, self.old_at
        return Scores(
            self.new[queries],
            self.old[queries],
            self.new_new[queries],
            self.old_old[queries],
            new_at=None if new_at is None else lambda coverage: new_at(coverage)[queries],
            old_at=None if old_at is None else lambda coverage: old_at(coverage)[queries],
        )


LeftOut = tuple[NDArray[np.intp], NDArray[np.intp]]
"""Rows and columns of what queries leave out."""
ScoreFunction = Callable[[NDArray[np.intp]], Scores]
"""From the rows of some queries to their scores."""


@dataclass(frozen=True, eq=False)
class BackfillingCurve:
    """Metrics of each evaluated query; rows of queries can be resampled for error bands.

    Attributes:
        coverage: ``(steps,)`` from 0 to 1.
        queries: ``(q,)`` rows of the queries that have a relevant item.
        merged: metric name -> ``(steps, q)`` under the merged system.
        old_old, new_new: metric name -> ``(q,)`` of either model alone.
    """

    coverage: Values
    queries: NDArray[np.intp]
    merged: Mapping[str, Values]
    old_old: Mapping[str, Values]
    new_new: Mapping[str, Values]

    def mean(self, metric: str) -> Values:
        """The curve of a metric, ``(steps,)``: its mean over the queries."""
        return np.asarray(self.merged[metric].mean(axis=1))

    def standard_error(self, metric: str) -> Values:
        """The curve's standard error over the queries, ``(steps,)``; 0 for a single query."""
        values = self.merged[metric]
        deviation = values.std(axis=1, ddof=min(1, values.shape[1] - 1))
        return np.asarray(deviation / np.sqrt(values.shape[1]))

    def figures(self, metric: str) -> Figures:
        """The figures of merit of a metric's curve."""
        return figures_of_merit(
            self.coverage,
            self.mean(metric),
            old_old=float(self.old_old[metric].mean()),
            new_new=float(self.new_new[metric].mean()),
        )

    def negative_flips(self) -> Values:
        """Share of queries right at rank 1 under old/old and wrong here, ``(steps,)``."""
        right = self.merged["cmc@1"] > 0
        return np.asarray(((self.old_old["cmc@1"] > 0) & ~right).mean(axis=1))

    def negative_flips_consecutive(self) -> Values:
        """Share of queries right one step before and wrong here, ``(steps,)``.

        The step before coverage 0 is the old system.
        """
        right = np.vstack([self.old_old["cmc@1"], self.merged["cmc@1"]]) > 0
        return np.asarray((right[:-1] & ~right[1:]).mean(axis=1))


def curve_from_scores(
    scores: ScoreFunction,
    relevance: Relevance,
    order: NDArray[np.intp],
    coverage: Values,
    *,
    chunk_queries: int | None = None,
    on_progress: Callable[[int, int], None] | None = None,
) -> BackfillingCurve:
    """Rank the whole gallery for every query at every coverage.

    At coverage c the first ``round(c * n)`` items of the order are on the new side. Queries
    without a relevant item are left out.

    Args:
        scores: gives the scores of some queries, columns in id order (ties go by column).
        relevance: of the same columns.
        order: ``(n,)`` columns, the one that is backfilled first in front.
        coverage: ``(steps,)`` rising from 0 to 1; see :func:`coverage_grid`.
        chunk_queries: queries scored at once; None for about 32 MB a score matrix. The
            result does not depend on it.
        on_progress: called with the queries done and the queries in all.

    Raises:
        InvalidInput: no query has a relevant item, or scores are NaN.
    """
    queries = np.flatnonzero(relevance.counts() > 0)
    if len(queries) == 0:
        raise InvalidInput(
            "no query has a relevant gallery item, so there is nothing to measure; check labels "
            "and qrels, and give queries ids of their own if they are not items of the gallery "
            "(a query leaves out the item that has its id)"
        )
    backfilled = np.rint(np.asarray(coverage) * len(order)).astype(np.intp)
    turning = turning_steps(order, backfilled)
    curve = _empty_curve(coverage, queries)
    chunk = chunk_queries or max(1, _CHUNK_SCORES // len(order))
    for start in range(0, len(queries), chunk):
        part = slice(start, start + chunk)
        _fill(curve, part, scores(queries[part]), relevance, turning)
        if on_progress:
            on_progress(min(start + chunk, len(queries)), len(queries))
    return curve


def coverage_grid(steps: int) -> Values:
    """``steps`` coverages, evenly spaced from 0 to 1.

    Raises:
        InvalidInput: fewer than two steps.
    """
    if steps < 2:
        raise InvalidInput(f"steps is {steps}, wanted at least 2: coverage 0 and coverage 1")
    return np.round(np.linspace(0.0, 1.0, steps), 12)


def _empty_curve(coverage: Values, queries: NDArray[np.intp]) -> BackfillingCurve:
    steps, q = len(coverage), len(queries)
    return BackfillingCurve(
        np.asarray(coverage),
        queries,
        merged={name: np.empty((steps, q)) for name in METRICS},
        old_old={name: np.empty(q) for name in METRICS},
        new_new={name: np.empty(q) for name in METRICS},
    )


def _fill(
    curve: BackfillingCurve,
    part: slice,
    scores: Scores,
    relevance: Relevance,
    turning: NDArray[Any],
) -> None:
    """Rank one chunk of queries, block by block: a block's lists fit the processor's cache."""
    blocks = _blocks(curve, part, scores.new.shape[1])
    for at, rows in blocks:
        queries = curve.queries[at]
        grades, left_out = relevance.grades(queries), relevance.left_out(queries)
        if not scores.depend_on_coverage:
            _fill_merged(curve, at, scores.of(rows), grades, left_out, turning)
        for cell, plain in ((curve.old_old, scores.old_old), (curve.new_new, scores.new_new)):
            ranked = rank_plain(_without(plain[rows], left_out), grades)
            for name, metric in METRICS.items():
                cell[name][at] = metric(ranked)
    if scores.depend_on_coverage:
        for step, coverage in enumerate(curve.coverage):
            moved = turning <= step
            new, old = scores.new_side(float(coverage)), scores.old_side(float(coverage))
            for at, rows in blocks:
                _fill_step(curve, step, at, np.where(moved, new[rows], old[rows]), relevance)


def _blocks(curve: BackfillingCurve, part: slice, n: int) -> list[tuple[slice, slice]]:
    """Where a chunk's blocks stand in the curve, and in the chunk."""
    count, size = len(curve.queries[part]), max(1, _BLOCK_SCORES // n)
    starts = range(0, count, size)
    ends = [min(start + size, count) for start in starts]
    return [
        (slice(part.start + start, part.start + end), slice(start, end))
        for start, end in zip(starts, ends, strict=True)
    ]


def _fill_merged(
    curve: BackfillingCurve,
    at: slice,
    scores: Scores,
    grades: NDArray[Any],
    left_out: LeftOut,
    turning: NDArray[Any],
) -> None:
    """All steps of a block at once, from scores that do not depend on the coverage."""
    new, old = _without(scores.new, left_out), _without(scores.old, left_out)
    for step, ranked in enumerate(rank_merged(new, old, grades, turning, len(curve.coverage))):
        for name, metric in METRICS.items():
            curve.merged[name][step, at] = metric(ranked)


def _fill_step(
    curve: BackfillingCurve, step: int, at: slice, merged: FloatArray, relevance: Relevance
) -> None:
    """One step of a block, from the scores that its items have at that coverage."""
    queries = curve.queries[at]
    left_out = relevance.left_out(queries)
    ranked = rank_plain(_without(merged, left_out), relevance.grades(queries))
    for name, metric in METRICS.items():
        curve.merged[name][step, at] = metric(ranked)


def _without(scores: FloatArray, left_out: LeftOut) -> FloatArray:
    """A copy in which what a query leaves out comes last, where it is never relevant."""
    if np.isnan(scores).any():
        raise InvalidInput(
            "scores hold NaN; check the upgrade's maps and calibration on these embeddings"
        )
    others = np.array(scores, dtype=np.float32)
    others[left_out] = -np.inf
    return others
