"""The backfilling curve on held-out pairs: what methods are chosen by and report.

Some held-out items are queries, all held-out items are the gallery; nothing of them was seen
in fitting. Relevant are the items of the query's class; without labels, the items that the
new model itself ranks first, since its ranking is what the upgrade is for.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from crossfade.embeddings import FloatArray, Pairs
from crossfade.errors import InvalidInput
from crossfade.evaluation.curve import (
    BackfillingCurve,
    Scores,
    coverage_grid,
    curve_from_scores,
)
from crossfade.evaluation.relevance import GradedRelevance, LabelRelevance, Relevance
from crossfade.upgrade import Upgrade

__all__ = ["HeldOutCurve", "Split", "held_out_curve", "split_pairs"]

_MOST_ITEMS = 3_000
_MOST_QUERIES = 600
_MOST_RELEVANT = 10
_STEPS = 6
_METRIC = "map"


@dataclass(frozen=True, eq=False)
class Split:
    """Pairs to fit on and pairs to judge by; no item is in both."""

    fitting: Pairs
    held_out: Pairs


@dataclass(frozen=True, eq=False)
class HeldOutCurve:
    """A method's curve on held-out pairs.

    Attributes:
        curve: mAP of every held-out query at every coverage.
        relevance: ``"labels"``, or ``"new model's neighbours"``.
    """

    curve: BackfillingCurve
    relevance: str

    @property
    def area_per_query(self) -> NDArray[np.float64]:
        """Area under each query's own curve, ``(q,)``."""
        return np.asarray(np.trapezoid(self.curve.merged[_METRIC], self.curve.coverage, axis=0))

    @property
    def auc(self) -> float:
        """Area under the mean curve."""
        return float(self.area_per_query.mean())

    def describe(self) -> dict[str, Any]:
        """As JSON, for the fit report."""
        figures = self.curve.figures(_METRIC)
        return {
            "metric": _METRIC,
            "relevance": self.relevance,
            "queries": len(self.curve.queries),
            "coverage": [round(c, 4) for c in self.curve.coverage.tolist()],
            "values": [round(value, 5) for value in self.curve.mean(_METRIC).tolist()],
            "old_old": round(float(self.curve.old_old[_METRIC].mean()), 5),
            "new_new": round(float(self.curve.new_new[_METRIC].mean()), 5),
            "gain_share": _finite(figures.gain_share),
            "worst_point": _finite(figures.worst_point),
            "auc": round(self.auc, 5),
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


def held_out_curve(upgrade: Upgrade, held_out: Pairs, seed: int) -> HeldOutCurve:
    """The curve of ``upgrade`` with held-out items as queries and gallery.

    Raises:
        InvalidInput: no held-out query has a relevant item.
    """
    rng = np.random.default_rng([seed, 2])
    n = len(held_out)
    queries = np.sort(rng.permutation(n)[:_MOST_QUERIES])
    relevance, source = _relevance(held_out, queries)
    old, new = held_out.old_rows(), held_out.new_rows()
    mapped = upgrade.map_items(old)
    stored = upgrade.store_new(new)

    def scores(rows: NDArray[np.intp]) -> Scores:
        picked = queries[rows]
        return Scores(
            new=stored[picked] @ stored.T,
            old=upgrade.old_side(new[picked], old[picked]).scores(old, mapped),
            new_new=new[picked] @ new.T,
            old_old=old[picked] @ old.T,
        )

    curve = curve_from_scores(scores, relevance, rng.permutation(n), coverage_grid(_STEPS))
    return HeldOutCurve(curve, source)


def _relevance(held_out: Pairs, queries: NDArray[np.intp]) -> tuple[Relevance, str]:
    if held_out.labels is not None:
        labels = held_out.labels
        return LabelRelevance.of(labels[queries], labels, queries), "labels"
    new = held_out.new_rows()
    neighbours = _neighbours(new[queries], new, queries)
    return GradedRelevance.of(neighbours, queries), "new model's neighbours"


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
