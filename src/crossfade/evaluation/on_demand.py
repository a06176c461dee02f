"""Re-extraction on demand, simulated: what it gains at once, and under a stream of queries.

A query's candidates are its N best items that are not yet backfilled, by both models' score of
them; re-extracted, they score as backfilled items do. The estimates of all
others stay as they are, by the map that the upgrade brings: refits are the job's, and not in it.
(What a gallery does with ``search(..., reextract=N)``.)
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from enum import StrEnum
from typing import Any

import numpy as np
from numpy.typing import NDArray

from crossfade.embeddings import FloatArray, IgnoredItems, Pairs, Qrels
from crossfade.errors import InvalidInput
from crossfade.evaluation.curve import Scores
from crossfade.evaluation.metrics import METRICS
from crossfade.evaluation.orders import backfill_order
from crossfade.evaluation.ranking import rank_plain
from crossfade.evaluation.refits import for_gallery
from crossfade.evaluation.relevance import Relevance, relevance_of
from crossfade.evaluation.scoring import GalleryScorer
from crossfade.upgrade import Mode, Upgrade

__all__ = [
    "Candidates",
    "OnDemandPoint",
    "ScoredQueries",
    "best_columns",
    "evaluate_on_demand",
    "score_queries",
]

Columns = NDArray[np.intp]
Mask = NDArray[np.bool_]
_BLOCK_QUERIES = 64
_LOWEST = np.float32(-np.inf)


class Candidates(StrEnum):
    """Which view names a query's candidates; ``both`` is that of two encoders, or the mapped
    one where the upgrade has no rule for them."""

    OLD = "old"
    MAPPED = "mapped"
    BOTH = "both"


@dataclass(frozen=True)
class OnDemandPoint:
    """One coverage: means over the queries that have a relevant item.

    Attributes:
        estimated: metric name -> value without re-extraction.
        reextracted: the same with it. old_old, new_new: of either model alone.
        encodes: items re-extracted a query, on average.
    """

    coverage: float
    encodes: float
    estimated: Mapping[str, float]
    reextracted: Mapping[str, float]
    old_old: Mapping[str, float]
    new_new: Mapping[str, float]

    def share_of_gap(self, metric: str) -> float:
        """How much of the way from the old model to the new one is gone: 0 old, 1 new.

        NaN where the models do not differ.
        """
        gap = self.new_new[metric] - self.old_old[metric]
        return (self.reextracted[metric] - self.old_old[metric]) / gap if gap else float("nan")


@dataclass(frozen=True, eq=False)
class ScoredQueries:
    """All scores of some queries, columns in the order of ids.

    Attributes:
        scores: under the upgrade and the mode. view: whose best are candidates, ``(q, n)``.
        grades: ``(q, n)`` relevance. left_out: places that queries leave out.
    """

    scores: Scores
    view: FloatArray
    grades: NDArray[Any]
    left_out: tuple[Columns, Columns]

    def merged(self, moved: Mask, coverage: float) -> FloatArray:
        """Scores ``(q, n)`` where ``moved`` says what is backfilled, ``(n,)`` or ``(q, n)``."""
        new = self.scores.new
        if self.scores.new_at is not None:
            new = self.scores.new_at(coverage)
        merged: FloatArray = np.where(moved, new, self.scores.old)
        merged[self.left_out] = _LOWEST
        return merged

    def candidates(self, moved: Mask, n: int) -> Columns:
        """The ``(q, m)`` candidates of each query, m the smaller of ``n`` and what is left."""
        left = min(n, int(np.count_nonzero(~moved)))
        waiting = np.where(moved, _LOWEST, self.view)
        waiting[self.left_out] = _LOWEST
        return best_columns(waiting, left)


def evaluate_on_demand(
    upgrade: Upgrade,
    gallery_set: Pairs,
    query_set: Pairs | None = None,
    *,
    qrels: Qrels | None = None,
    ignored: IgnoredItems | None = None,
    n: int = 20,
    candidates: Candidates | str = Candidates.BOTH,
    coverage: Sequence[float] = (0.0,),
    order: str = "random",
    seed: int = 0,
    mode: Mode | str = Mode.ONE_ENCODER,
) -> list[OnDemandPoint]:
    """Quality with N real re-extractions for each query, at some coverages.

    Each query finds the gallery as the job has left it: what others re-extracted is not kept.

    Args:
        gallery_set, query_set, qrels, ignored, order, seed, mode: as for :func:`evaluate`.
        n: items re-extracted for each query.
        candidates: which view names them.
        coverage: what the job has backfilled before, each from 0 to 1.

    Raises:
        InvalidInput: as :func:`evaluate` does; ``n`` below 0, or a coverage outside of 0 to 1.
    """
    if n < 0:
        raise InvalidInput(f"n is {n}, wanted items to re-extract, from 0")
    if not all(0.0 <= at <= 1.0 for at in coverage):
        raise InvalidInput(f"coverage is {list(coverage)}, wanted values from 0 to 1")
    rows = backfill_order(order, gallery_set, upgrade.without_refits(), seed=seed)
    turn = _turns(gallery_set, rows)
    sums = [_Sums() for _ in coverage]
    for part in score_queries(
        upgrade,
        gallery_set,
        query_set,
        qrels=qrels,
        ignored=ignored,
        candidates=candidates,
        mode=mode,
    ):
        for at, total in zip(coverage, sums, strict=True):
            moved = turn < round(at * len(turn))
            found = part.candidates(moved, n)
            total.add(part, moved, at, found)
    return [total.point(at) for at, total in zip(coverage, sums, strict=True)]


def score_queries(
    upgrade: Upgrade,
    gallery: Pairs,
    queries: Pairs | None,
    *,
    qrels: Qrels | None = None,
    ignored: IgnoredItems | None = None,
    candidates: Candidates | str = Candidates.BOTH,
    mode: Mode | str = Mode.ONE_ENCODER,
) -> Iterator[ScoredQueries]:
    """Score the queries that have a relevant item, some at a time.

    Raises:
        InvalidInput: nothing relevant at all, or a mode that the upgrade can't do.
    """
    kind = Candidates(candidates)
    asked = gallery if queries is None else queries
    by_id = np.argsort(gallery.ids, kind="stable")
    relevance: Relevance = relevance_of(asked, gallery.subset(by_id), qrels, ignored)
    rows = np.flatnonzero(relevance.counts() > 0)
    if not len(rows):
        raise InvalidInput("no query has a relevant gallery item; check labels and qrels")
    upgrade = for_gallery(upgrade, gallery)
    scorer = GalleryScorer(upgrade, gallery, asked, by_id, Mode(mode))
    of_view = scorer
    if kind is not Candidates.OLD and scorer.mode is not (named := _mode_of(kind, upgrade)):
        of_view = replace(scorer, mode=named)
    for start in range(0, len(rows), scorer.chunk_queries):
        part = rows[start : start + scorer.chunk_queries]
        scores = scorer(part)
        viewed = scores if of_view is scorer else of_view(part)
        view = viewed.old_old if kind is Candidates.OLD else viewed.old
        yield ScoredQueries(scores, view, relevance.grades(part), relevance.left_out(part))


def _mode_of(kind: Candidates, upgrade: Upgrade) -> Mode:
    """The mode that scores what is not yet backfilled as the view does.

    One encoder's scores are calibrated, which rises strictly: the order is the mapped view's own.
    """
    both = kind is Candidates.BOTH and upgrade.two_encoder is not None
    return Mode.TWO_ENCODER if both else Mode.ONE_ENCODER


def best_columns(scores: FloatArray, m: int) -> Columns:
    """The ``(q, m)`` columns of the highest scores of each row, best first, ties by column."""
    q, n = scores.shape
    if m == 0:
        return np.empty((q, 0), dtype=np.intp)
    # One number each that rises as the score falls and, among equals, with the column.
    bits = (scores + np.float32(0.0)).view(np.int32)
    falling = bits ^ (~(bits >> 31) & np.int32(0x7FFF_FFFF))
    keys = falling.view(np.uint32).astype(np.uint64) << np.uint64(32)
    keys |= np.arange(n, dtype=np.uint64)
    best = np.partition(keys, m - 1, axis=1)[:, :m] if m < n else keys
    best.sort(axis=1)
    return (best & np.uint64(0xFFFF_FFFF)).astype(np.intp)


def _turns(gallery: Pairs, rows_in_order: Columns) -> Columns:
    """When each column is backfilled, 0 for the first."""
    columns = np.empty(len(gallery), dtype=np.intp)
    columns[np.argsort(gallery.ids, kind="stable")] = np.arange(len(gallery))
    turn = np.empty(len(gallery), dtype=np.intp)
    turn[columns[rows_in_order]] = np.arange(len(gallery))
    return turn


class _Sums:
    """Metrics of one coverage, summed over queries."""

    def __init__(self) -> None:
        self._queries = 0
        self._encodes = 0
        self._totals = {
            cell: dict.fromkeys(METRICS, 0.0)
            for cell in ("estimated", "reextracted", "old_old", "new_new")
        }

    def add(self, part: ScoredQueries, moved: Mask, coverage: float, found: Columns) -> None:
        now = np.broadcast_to(moved, part.view.shape).copy()
        np.put_along_axis(now, found, True, axis=1)
        self._queries += len(now)
        self._encodes += found.size
        plain = {}
        for name in ("old_old", "new_new"):
            plain[name] = np.array(getattr(part.scores, name))
            plain[name][part.left_out] = _LOWEST
        cells = {
            "estimated": part.merged(moved, coverage),
            "reextracted": part.merged(now, coverage),
            **plain,
        }
        for cell, scores in cells.items():
            for start in range(0, len(scores), _BLOCK_QUERIES):
                rows = slice(start, start + _BLOCK_QUERIES)
                ranked = rank_plain(scores[rows], part.grades[rows])
                for name, metric in METRICS.items():
                    self._totals[cell][name] += float(metric(ranked).sum())

    def point(self, coverage: float) -> OnDemandPoint:
        means = {
            cell: {name: total / self._queries for name, total in totals.items()}
            for cell, totals in self._totals.items()
        }
        return OnDemandPoint(coverage, self._encodes / self._queries, **means)
