"""Retrieval metrics on ranked relevance; one value for each query, from 0 to 1.

Every metric is a pure function of :class:`RankedRelevance`, the ranks and grades of the
relevant items, and returns ``(q,)`` float64. A query without any relevant item gets NaN: no
ranking is right or wrong for it, so it must be left out of a mean and counted, not scored.

Definitions follow trec_eval: full-list average precision, linear gain in nDCG.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from functools import cached_property, partial
from typing import Any

import numpy as np
from numpy.typing import NDArray

from crossfade.errors import InvalidInput

__all__ = [
    "METRICS",
    "Metric",
    "RankedRelevance",
    "RelevantItems",
    "average_precision",
    "check_metric",
    "cmc",
    "metric_for",
    "ndcg",
    "recall",
    "reciprocal_rank",
]

Values = NDArray[np.float64]


@dataclass(frozen=True, eq=False)
class RelevantItems:
    """The relevant items of q queries, laid out flat: all of query 0, then of query 1, ...

    The layout is the same whatever their ranks, so it is worked out once for many rankings.

    Attributes:
        counts: ``(q,)`` relevant items of each query; m in all.
        grades: ``(m,)`` their relevance, above 0, in any order within a query.
    """

    counts: NDArray[np.intp]
    grades: NDArray[Any]

    @cached_property
    def query(self) -> NDArray[np.intp]:
        """The query of each item, ``(m,)``."""
        return np.repeat(np.arange(len(self.counts)), self.counts)

    @cached_property
    def hit(self) -> Values:
        """1 for a query's first item, 2 for its second, ... ``(m,)``."""
        return np.arange(1.0, len(self.query) + 1) - self._starts[self.query]

    @cached_property
    def falling_grades(self) -> Values:
        """Grades, the highest of each query first, ``(m,)``."""
        grades = self.grades.astype(np.float64)
        return np.asarray(grades[np.lexsort((-grades, self.query))])

    @cached_property
    def _starts(self) -> NDArray[np.intp]:
        return np.asarray(np.cumsum(self.counts) - self.counts)

    def first(self, values: NDArray[Any]) -> Values:
        """The value ``(m,)`` of each query's first item, ``(q,)``, NaN if it has none."""
        out = np.full(len(self.counts), np.nan)
        some = self.counts > 0
        out[some] = values[self._starts[some]]
        return out

    def sum(self, values: Values, places: NDArray[np.intp] | None = None) -> Values:
        """Sum of each query's values, ``(q,)``; of all items, or of those at ``places``."""
        query = self.query if places is None else self.query[places]
        # bincount adds up in order: a query's sum does not depend on those beside it.
        total = np.bincount(query, values, minlength=len(self.counts))
        return total.astype(np.float64, copy=False)


@dataclass(frozen=True, eq=False)
class RankedRelevance:
    """Where the relevant items stand in the ranked lists of q queries.

    Attributes:
        items: the relevant items.
        rank: ``(m,)`` rank of each in its list, from 1, rising within a query.
        grade: ``(m,)`` relevance of the item at that rank.
    """

    items: RelevantItems
    rank: NDArray[Any]
    grade: NDArray[Any]

    @classmethod
    def of(cls, grades: Any) -> RankedRelevance:
        """From grades ``(q, n)`` of whole ranked lists, best item first, 0 for irrelevant."""
        ranked = np.asarray(grades)
        query, column = np.nonzero(ranked > 0)
        grade = ranked[query, column]
        return cls(
            RelevantItems(np.bincount(query, minlength=len(ranked)), grade), column + 1, grade
        )


Metric = Callable[[RankedRelevance], Values]


def average_precision(ranked: RankedRelevance) -> Values:
    """Mean, over the relevant items, of the precision at the item's rank (full list)."""
    items = ranked.items
    return _ratio(items.sum(items.hit / ranked.rank), items.counts)


def cmc(ranked: RankedRelevance, k: int) -> Values:
    """Cumulative match characteristic: 1 if any of the first k items is relevant, else 0."""
    first = ranked.items.first(ranked.rank)
    return np.where(np.isnan(first), np.nan, first <= k)


def recall(ranked: RankedRelevance, k: int) -> Values:
    """Share of all relevant items that stand among the first k."""
    head = np.flatnonzero(ranked.rank <= k)
    return _ratio(ranked.items.sum(np.ones(len(head)), head), ranked.items.counts)


def ndcg(ranked: RankedRelevance, k: int) -> Values:
    """Discounted cumulative gain of the first k items over that of the best order.

    Gain is the grade itself, the discount ``1 / log2(rank + 1)`` (Järvelin and Kekäläinen
    2002, in the form of trec_eval).
    """
    items = ranked.items
    ideal = _discounted_gain(items, items.hit, items.falling_grades, k)
    return _ratio(_discounted_gain(items, ranked.rank, ranked.grade, k), ideal)


def reciprocal_rank(ranked: RankedRelevance) -> Values:
    """One over the rank of the first relevant item."""
    return np.asarray(1.0 / ranked.items.first(ranked.rank))


METRICS: Mapping[str, Metric] = {
    "map": average_precision,
    "cmc@1": partial(cmc, k=1),
    "cmc@5": partial(cmc, k=5),
    "recall@10": partial(recall, k=10),
    "ndcg@10": partial(ndcg, k=10),
    "mrr": reciprocal_rank,
}
"""All metrics of the protocol by name, in the order in which they are reported."""


def check_metric(name: str) -> str:
    """The name, if it is one of :data:`METRICS`.

    Raises:
        InvalidInput: it is not.
    """
    if name not in METRICS:
        raise InvalidInput(f"unknown metric {name!r}; choose one of {', '.join(METRICS)}")
    return name


def metric_for(*, judged: bool) -> str:
    """The metric to go by where the user names none.

    Args:
        judged: qrels say what is relevant, mostly one item or a few to a query: how high the first
            stands is what counts. Labels make whole classes relevant, all of which are wanted.
    """
    return "mrr" if judged else "map"


def _discounted_gain(
    items: RelevantItems, rank: NDArray[Any], grade: NDArray[Any], k: int
) -> Values:
    head = np.flatnonzero(rank <= k)
    return items.sum(grade[head] / np.log2(rank[head] + 1.0), head)


def _ratio(part: Values, whole: NDArray[Any]) -> Values:
    out = np.full(len(part), np.nan)
    np.divide(part, whole, out=out, where=whole > 0)
    return out
