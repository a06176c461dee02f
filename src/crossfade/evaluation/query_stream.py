"""A replayed stream of queries that moves a gallery by re-extraction on demand.

Queries are drawn by Zipf's law: the r-th most asked one has a share proportional to
``r ** -skew`` of the traffic; which one that is, is drawn first. In the form ``now`` each query
re-extracts its own candidates before it is answered. In the form ``later`` it is answered as the
gallery is, its candidates go to the front of the job's queue, and the job moves ``rate`` items
while the next query is on its way: the most wanted first (:class:`crossfade.orders.DemandLevels`),
equals and the rest in the job's random order.

At some coverages the next query is judged, in expectation over the traffic.
"""

from __future__ import annotations

import heapq
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from enum import StrEnum
from itertools import pairwise
from typing import Any

import numpy as np
from numpy.typing import NDArray

from crossfade.embeddings import FloatArray
from crossfade.errors import InvalidInput
from crossfade.evaluation.on_demand import ScoredQueries, best_columns
from crossfade.orders import DemandLevels
from crossfade.stores import Id

__all__ = ["COVERAGES", "Form", "StreamPlan", "StreamPoint", "coverage_reached", "replay"]

Columns = NDArray[np.intp]
Mask = NDArray[np.bool_]
COVERAGES = (0.0, 0.02, 0.05, 0.1, 0.15, 0.2, 0.25, 0.3, 0.4, 0.5, 0.6, 0.7, 0.8, 0.9, 1.0)
_TOP = 10


class Form(StrEnum):
    """When candidates are re-extracted."""

    NOW = "now"
    LATER = "later"


@dataclass(frozen=True)
class StreamPlan:
    """A stream.

    Attributes:
        form: before the answer, or by the job.
        n: candidates a query. within: only those among the so many best of the answer,
            backfilled ones counted; None for the best ``n`` that are left, however deep.
        rate: items that the job moves for each query (form ``later``).
        skew: Zipf's exponent; 0 asks all queries alike.
        length: queries at most.
        seed: of the traffic and the job's order.
    """

    form: Form
    n: int = 20
    within: int | None = None
    rate: float = 20.0
    skew: float = 1.0
    length: int = 20_000
    seed: int = 0

    def __post_init__(self) -> None:
        if self.n < 1 or self.length < 1 or (self.within is not None and self.within < 1):
            raise InvalidInput("n, within and length of a stream are at least 1")
        if self.rate <= 0 or self.skew < 0:
            raise InvalidInput(f"rate is {self.rate}, skew {self.skew}; wanted above 0, and from 0")


@dataclass(frozen=True)
class StreamPoint:
    """The gallery at one moment of a stream, as the next query finds it.

    Attributes:
        queries: asked so far. encodes: items moved a query since the last point.
        mrr: reciprocal rank of the first relevant item.
        same_first: share of the traffic whose best item is that of the gallery at coverage 1.
        same_ten: whose ten best are the same set.
    """

    queries: int
    coverage: float
    encodes: float
    mrr: float
    same_first: float
    same_ten: float


def replay(
    parts: Sequence[ScoredQueries], plan: StreamPlan, coverages: Sequence[float] = COVERAGES
) -> list[StreamPoint]:
    """Ask queries until all is backfilled, or the stream is over.

    Args:
        parts: from :func:`crossfade.evaluation.on_demand.score_queries`.
        coverages: rising, when the gallery is judged; once more at the stream's end.
    """
    stream = _Stream(parts, plan)
    points: list[StreamPoint] = []
    due = list(coverages)
    for asked in range(plan.length + 1):
        over = asked == plan.length or stream.moved.all()
        if over or (due and stream.coverage >= due[0]):
            points.append(stream.judge(asked, points[-1] if points else None))
            due = [at for at in due if at > stream.coverage]
        if over:
            break
        stream.ask()
    return points


def coverage_reached(points: Sequence[StreamPoint], what: str, share: float) -> float | None:
    """The coverage from which on ``same_first`` or ``same_ten`` is at least ``share``.

    Between two points it is taken to be linear. None if the stream ended before.
    """
    values = [getattr(point, what) for point in points]
    if values[-1] < share:
        return None
    reached = points[0].coverage
    for (one, low), (other, high) in pairwise(zip(points, values, strict=True)):
        if low < share <= high:
            part = (share - low) / (high - low)
            reached = one.coverage + part * (other.coverage - one.coverage)
    return reached


class _Stream:
    def __init__(self, parts: Sequence[ScoredQueries], plan: StreamPlan) -> None:
        rng = np.random.default_rng(plan.seed)
        q, n = sum(len(part.view) for part in parts), parts[0].view.shape[1]
        self._parts, self._plan, self._rng = parts, plan, rng
        weights = (1.0 + rng.permutation(q)) ** -plan.skew
        self._traffic = weights / weights.sum()
        self._asked = iter(rng.choice(q, plan.length, p=self._traffic))
        self._view = np.concatenate([_seen(part, part.view) for part in parts])
        self._new = np.concatenate([_seen(part, part.scores.new) for part in parts])
        self._ranked = best_columns(self._view, n)
        self._turn = np.empty(n, dtype=np.intp)
        order = rng.permutation(n)
        self._turn[order] = np.arange(n)
        self._job: Iterator[int] = iter(order.tolist())
        self._levels = DemandLevels()
        self._queue: list[tuple[int, int, int]] = []
        self._priority = np.zeros(n, dtype=np.intp)
        self._allowance = 0.0
        self._final = [_top(part.merged(np.ones(n, np.bool_), 1.0)) for part in parts]
        self.moved = np.zeros(n, dtype=np.bool_)

    @property
    def coverage(self) -> float:
        return float(self.moved.mean())

    def ask(self) -> None:
        """The next query of the stream, and what it moves."""
        columns, places = self._wanted(int(next(self._asked)))
        if self._plan.form is Form.NOW:
            self.moved[columns] = True
            return
        wanted: dict[Id, int] = dict(zip(columns.tolist(), places.tolist(), strict=True))
        for id, level in self._levels.count([wanted]).items():
            column = int(id)
            if level > self._priority[column]:
                self._priority[column] = level
                heapq.heappush(self._queue, (-level, int(self._turn[column]), column))
        self._allowance += self._plan.rate
        while self._allowance >= 1.0:
            self._allowance -= 1.0
            self._move_next()

    def judge(self, asked: int, before: StreamPoint | None) -> StreamPoint:
        """How the next query would be answered."""
        coverage, start = self.coverage, 0
        mrr, first, ten = 0.0, 0.0, 0.0
        for part, final in zip(self._parts, self._final, strict=True):
            rows = range(start, start + len(part.view))
            start += len(rows)
            traffic = self._traffic[rows.start : rows.stop]
            merged = part.merged(self._seen_by(rows), coverage)
            top = _top(merged)
            mrr += float(traffic @ _reciprocal_rank(merged, part.grades))
            first += float(traffic @ (top[:, 0] == final[:, 0]))
            ten += float(traffic @ (np.sort(top, axis=1) == np.sort(final, axis=1)).all(axis=1))
        moved = (coverage - (before.coverage if before else 0.0)) * len(self.moved)
        queries = asked - (before.queries if before else 0)
        return StreamPoint(asked, coverage, moved / max(1, queries), mrr, first, ten)

    def _seen_by(self, rows: range) -> Mask:
        """What is backfilled when these queries are answered."""
        if self._plan.form is Form.LATER:
            return self.moved
        seen = np.broadcast_to(self.moved, (len(rows), len(self.moved))).copy()
        for place, row in enumerate(rows):
            seen[place, self._wanted(row)[0]] = True
        return seen

    def _wanted(self, row: int) -> tuple[Columns, Columns]:
        """The best columns not yet backfilled, with their places in the answer.

        Places are by new scores as they are at coverage 1; those of the moment differ a little.
        """
        ranked = self._ranked[row]
        best = ranked[~self.moved[ranked]][: self._plan.n]
        new = np.sort(self._new[row, self.moved])
        above = len(new) - np.searchsorted(new, self._view[row, best], side="left")
        places = above + np.arange(1, len(best) + 1)
        near = slice(None) if self._plan.within is None else places <= self._plan.within
        return best[near], places[near]

    def _move_next(self) -> None:
        while self._queue:
            column = heapq.heappop(self._queue)[2]
            if not self.moved[column]:
                self.moved[column] = True
                return
        for column in self._job:
            if not self.moved[column]:
                self.moved[column] = True
                return


def _seen(part: ScoredQueries, scores: FloatArray) -> FloatArray:
    """Scores with the items that queries leave out, such as themselves, last."""
    seen = scores.copy()
    seen[part.left_out] = -np.inf
    return seen


def _top(merged: FloatArray) -> Columns:
    return best_columns(merged, min(_TOP, merged.shape[1]))


def _reciprocal_rank(merged: FloatArray, grades: NDArray[Any]) -> NDArray[np.float64]:
    """One over the rank of the first relevant item; equal scores in the order of columns."""
    relevant = np.where(grades > 0, merged, -np.inf)
    column = relevant.argmax(axis=1)[:, None]
    score = np.take_along_axis(merged, column, axis=1)
    before = (merged > score).sum(axis=1)
    before += ((merged == score) & (np.arange(merged.shape[1]) < column)).sum(axis=1)
    return np.asarray(1.0 / (1.0 + before))
