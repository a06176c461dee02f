"""The backfilling curve on held-out pairs: what methods are chosen by and report.

Nothing of the held-out items was seen in fitting; they are the gallery, and queries are made
of them. With labels, relevant is what has the query's class. Without, a map is judged by two
kinds of queries, since one alone misleads:

- *neighbours*: an item as it is; relevant are the items that the new model ranks first. This
  is what class-level search asks for, but it flatters maps that only fit the items' own
  distribution.
- *displaced*: an item moved, in both spaces, along the difference of two other items;
  relevant is the item itself. Real queries (a caption, another vendor's drawing) differ from
  their items much as items differ among themselves, and a map must bear that.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from crossfade.embeddings import FloatArray, Pairs, normalise
from crossfade.errors import InvalidInput
from crossfade.evaluation.curve import (
    BackfillingCurve,
    ScoreFunction,
    Scores,
    coverage_grid,
    curve_from_scores,
)
from crossfade.evaluation.relevance import GradedRelevance, LabelRelevance, Relevance
from crossfade.upgrade import Upgrade

__all__ = [
    "HeldOutCurve",
    "HeldOutQueries",
    "Split",
    "held_out_curves",
    "held_out_scores",
    "made_queries",
    "split_pairs",
]

_MOST_ITEMS = 3_000
_MOST_QUERIES = 600
_MOST_RELEVANT = 10
_STEPS = 6
_METRIC = "map"
_DISPLACEMENTS = (0.25, 0.35, 0.5, 0.7, 1.0, 1.4)
# Displaced queries are made so hard that the new model finds about this share of them.
_DISPLACED_QUALITY = 0.6


@dataclass(frozen=True, eq=False)
class Split:
    """Pairs to fit on and pairs to judge by; no item is in both."""

    fitting: Pairs
    held_out: Pairs


@dataclass(frozen=True, eq=False)
class HeldOutQueries:
    """Queries made of held-out items, and what is relevant to them.

    Attributes:
        kind: ``"labels"``, ``"neighbours"`` or ``"displaced"``.
        old, new: ``(q, d_old)``, ``(q, d_new)``.
    """

    kind: str
    old: FloatArray
    new: FloatArray
    relevance: Relevance


@dataclass(frozen=True, eq=False)
class HeldOutCurve:
    """A method's curve for one kind of held-out queries: mAP at every coverage."""

    kind: str
    curve: BackfillingCurve

    @property
    def area_per_query(self) -> NDArray[np.float64]:
        """Area under each query's own curve, ``(q,)``."""
        areas = np.trapezoid(self.curve.merged[_METRIC], self.curve.coverage, axis=0)
        return np.asarray(areas)

    def describe(self) -> dict[str, Any]:
        """As JSON, for the fit report."""
        figures = self.curve.figures(_METRIC)
        return {
            "queries": self.kind,
            "count": len(self.curve.queries),
            "metric": _METRIC,
            "coverage": [round(c, 4) for c in self.curve.coverage.tolist()],
            "values": [round(value, 5) for value in self.curve.mean(_METRIC).tolist()],
            "old_old": round(float(self.curve.old_old[_METRIC].mean()), 5),
            "new_new": round(float(self.curve.new_new[_METRIC].mean()), 5),
            "gain_share": _finite(figures.gain_share),
            "worst_point": _finite(figures.worst_point),
            "auc": round(figures.auc, 5),
        }


def split_pairs(pairs: Pairs, share: float, seed: int, most_fitting: int) -> Split:
    """Draw held-out pairs: ``share`` of them, a quarter of few pairs, at most 3,000.

    Args:
        most_fitting: fit on at most this many pairs, drawn at random.

    Raises:
        InvalidInput: fewer than 16 pairs, too few to hold any out.
    """
    n = len(pairs)
    if n < 16:
        raise InvalidInput(f"held-out evaluation needs at least 16 pairs, got {n}")
    held_out = min(_MOST_ITEMS, max(round(share * n), min(200, n // 4)))
    order = np.random.default_rng([seed, 1]).permutation(n)
    fitting = np.sort(order[held_out : held_out + most_fitting])
    return Split(pairs.subset(fitting), pairs.subset(np.sort(order[:held_out])))


def held_out_curves(upgrade: Upgrade, held_out: Pairs, seed: int) -> list[HeldOutCurve]:
    """The curve of ``upgrade`` for each kind of held-out queries, the main kind first.

    Raises:
        InvalidInput: no held-out query has a relevant item.
    """
    order = np.random.default_rng([seed, 4]).permutation(len(held_out))
    grid = coverage_grid(_STEPS)
    return [
        HeldOutCurve(
            queries.kind,
            curve_from_scores(
                held_out_scores(upgrade, held_out, queries), queries.relevance, order, grid
            ),
        )
        for queries in made_queries(held_out, seed)
    ]


def held_out_scores(upgrade: Upgrade, held_out: Pairs, queries: HeldOutQueries) -> ScoreFunction:
    """How queries score held-out items, columns in the order of their rows."""
    old, new = held_out.old_rows(), held_out.new_rows()
    mapped, stored = upgrade.map_items(old), upgrade.store_new(new)
    hubs = None
    if upgrade.offset is not None and upgrade.offset.new_side:
        hubs = upgrade.offset.of_new(stored)

    def scores(rows: NDArray[np.intp]) -> Scores:
        q_old, q_new = queries.old[rows], queries.new[rows]
        side, similar = upgrade.old_side(q_new, q_old), upgrade.store_new(q_new) @ stored.T
        return Scores(
            new=similar,
            old=side.scores(old, mapped),
            new_new=q_new @ new.T,
            old_old=q_old @ old.T,
            new_at=None if hubs is None else lambda at: side.lowered(similar, hubs, at),
        )

    return scores


def made_queries(held_out: Pairs, seed: int, most: int = _MOST_QUERIES) -> list[HeldOutQueries]:
    """Queries made of held-out items, the main kind first; columns are the items' rows.

    Args:
        most: queries of a kind, at most.
    """
    rng = np.random.default_rng([seed, 2])
    old, new = held_out.old_rows(), held_out.new_rows()
    rows = np.sort(rng.permutation(len(held_out))[:most])
    if held_out.labels is not None:
        labels = held_out.labels
        relevance = LabelRelevance.of(labels[rows], labels, rows)
        # Labels that no two held-out items share (ids, say) name nothing that is relevant.
        if relevance.counts().any():
            return [HeldOutQueries("labels", old[rows], new[rows], relevance)]
    neighbours = GradedRelevance.of(_neighbours(new[rows], new, rows), rows)
    return [
        HeldOutQueries("neighbours", old[rows], new[rows], neighbours),
        _displaced(old, new, rows, rng),
    ]


def _displaced(
    old: FloatArray, new: FloatArray, rows: NDArray[np.intp], rng: np.random.Generator
) -> HeldOutQueries:
    """Queries ``item + beta (a - b)`` in both spaces, as hard as ``_DISPLACED_QUALITY``."""
    a, b = rng.integers(0, len(new), size=(2, len(rows)))

    def misses(beta: float) -> float:
        quality = _reciprocal_rank(_moved(new, rows, a, b, beta), new, rows)
        return abs(quality - _DISPLACED_QUALITY)

    beta = min(_DISPLACEMENTS, key=misses)
    relevant = np.zeros((len(rows), len(new)), dtype=np.bool_)
    relevant[np.arange(len(rows)), rows] = True
    return HeldOutQueries(
        "displaced",
        _moved(old, rows, a, b, beta),
        _moved(new, rows, a, b, beta),
        GradedRelevance.of(relevant),
    )


def _moved(
    vectors: FloatArray,
    rows: NDArray[np.intp],
    a: NDArray[np.intp],
    b: NDArray[np.intp],
    beta: float,
) -> FloatArray:
    moved = vectors[rows] + beta * (vectors[a] - vectors[b])
    # An item displaced onto the origin has no direction; it stays where it is.
    lost = ~moved.any(axis=1)
    moved[lost] = vectors[rows][lost]
    return normalise(moved)


def _reciprocal_rank(queries: FloatArray, items: FloatArray, rows: NDArray[np.intp]) -> float:
    scores = queries @ items.T
    own = scores[np.arange(len(rows)), rows][:, None]
    return float((1.0 / (1 + (scores > own).sum(axis=1))).mean())


def _neighbours(queries: FloatArray, items: FloatArray, own: NDArray[np.intp]) -> NDArray[np.bool_]:
    """Each query's nearest items in the new space, its own left out, as a mask ``(q, n)``."""
    scores = queries @ items.T
    scores[np.arange(len(queries)), own] = -np.inf
    count = max(1, min(_MOST_RELEVANT, len(items) // 20))
    nearest = np.argpartition(-scores, count - 1, axis=1)[:, :count]
    mask = np.zeros(scores.shape, dtype=np.bool_)
    np.put_along_axis(mask, nearest, True, axis=1)
    return mask


def _finite(value: float) -> float | None:
    return round(value, 5) if np.isfinite(value) else None
