"""Two models' views of one item, on one scale (two-encoder mode).

While a gallery is backfilled, an item has up to three similarities to a query: of its old
vector to the old query, of its mapped vector to the new query, and of its new vector, once it
is backfilled, to the new query. Each view is standardised for each query (mean and deviation
over a fixed sample of items that the artifact carries: a service can't see the whole gallery
for each query, a thousand dot products it can). Of these standardised views:

    not yet backfilled   z = mix(z_mapped, z_old; w) + offset
    backfilled           z = mix(z_new, z_old; w_c),   w_c = w_new (1 - c)

with ``mix(a, b; w) = ((1 - w) a + w b) / std((1 - w) a + w b)`` over the sample. Two views that
agree only in part mix to less than their own deviation; dividing by it keeps the two sides
comparable. Backfilled items keep a share of the old view so that both sides err alike; the
share fades with coverage c and is nothing at c = 1, where the answer is exactly the new
model's. The result is put back on the new view's scale, ``s = mean_new + std_new * z``.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from crossfade.embeddings import FloatArray
from crossfade.errors import InvalidInput

__all__ = ["Combiner", "SampleScores", "ScoreScale", "TwoEncoder", "score_scale"]

_SMALLEST_DEVIATION = 1e-6


@dataclass(frozen=True, eq=False)
class TwoEncoder:
    """How to combine both models' scores.

    Attributes:
        weight: w, the old query's share for an item that is not yet backfilled, 0 to 1.
        new_weight: w_new, its share at coverage 0 for one that is, 0 to 1.
        offset: added to items not yet backfilled, in deviations. Mapped scores of the sample,
            which the map was fitted on, are a little too good; this makes up for it.
        reference_old: ``(m, d_old)`` old embeddings of a fixed sample of items.
        reference_new: ``(m, d_new)`` new embeddings of the same items.
    """

    weight: float
    new_weight: float
    offset: float
    reference_old: FloatArray
    reference_new: FloatArray

    def __post_init__(self) -> None:
        for name in ("weight", "new_weight"):
            if not 0.0 <= getattr(self, name) <= 1.0:
                raise InvalidInput(f"two-encoder {name} is {getattr(self, name)}, wanted 0 to 1")
        if not np.isfinite(self.offset):
            raise InvalidInput(f"two-encoder offset is {self.offset}, wanted a finite number")
        if len(self.reference_old) < 2 or len(self.reference_old) != len(self.reference_new):
            raise InvalidInput(
                f"two-encoder sample has {len(self.reference_old)} old and "
                f"{len(self.reference_new)} new rows, wanted as many of both, at least 2"
            )

    def new_share(self, coverage: float) -> float:
        """w_c: the old query's share for a backfilled item at this coverage."""
        return self.new_weight * (1.0 - coverage)


@dataclass(frozen=True, eq=False)
class SampleScores:
    """Scores ``(q, m)`` of queries over the sample, in each view."""

    mapped: FloatArray
    old: FloatArray
    new: FloatArray


@dataclass(frozen=True, eq=False)
class ScoreScale:
    """Mean and deviation of each query's scores over the sample, both ``(q, 1)``."""

    mean: FloatArray
    deviation: FloatArray

    def standard(self, scores: FloatArray) -> FloatArray:
        """Scores ``(q, n)`` in deviations from the mean."""
        return (scores - self.mean) / self.deviation


class Combiner:
    """Puts ``(q, n)`` scores of the same items together.

    Args:
        sample: the same queries' scores over the rule's sample.
    """

    def __init__(self, rule: TwoEncoder, sample: SampleScores) -> None:
        self._rule = rule
        self._mapped = score_scale(sample.mapped)
        self._old = score_scale(sample.old)
        self._new = score_scale(sample.new)
        self._standard_mapped = self._mapped.standard(sample.mapped)
        self._standard_old = self._old.standard(sample.old)
        self._standard_new = self._new.standard(sample.new)
        self._old_side_spread = self._spread(self._standard_mapped, rule.weight)

    def old_side(self, mapped: FloatArray, old: FloatArray) -> FloatArray:
        """Scores ``(q, n)`` of items that are not yet backfilled. They rise with either view."""
        views = self._mapped.standard(mapped), self._old.standard(old)
        mixed = _mix(*views, self._rule.weight) / self._old_side_spread
        return self._on_new_scale(mixed + self._rule.offset)

    def new_side(self, new: FloatArray, old: FloatArray, coverage: float) -> FloatArray:
        """Scores ``(q, n)`` of backfilled items. They rise with either view."""
        share = self._rule.new_share(coverage)
        if share <= 0.0:
            return np.asarray(new, dtype=np.float32)
        views = self._new.standard(new), self._old.standard(old)
        spread = self._spread(self._standard_new, share)
        return self._on_new_scale(_mix(*views, share) / spread)

    def _spread(self, standard: FloatArray, weight: float) -> FloatArray:
        mixed = _mix(standard, self._standard_old, weight)
        return np.maximum(mixed.std(axis=1, keepdims=True), _SMALLEST_DEVIATION)

    def _on_new_scale(self, standard: FloatArray) -> FloatArray:
        scale = self._new
        return np.asarray(scale.mean + scale.deviation * standard, dtype=np.float32)


def score_scale(scores: FloatArray) -> ScoreScale:
    """The scale of ``(q, m)`` scores over a sample of items."""
    deviation = scores.std(axis=1, keepdims=True)
    return ScoreScale(
        scores.mean(axis=1, keepdims=True), np.maximum(deviation, _SMALLEST_DEVIATION)
    )


def _mix(first: FloatArray, old: FloatArray, weight: float) -> FloatArray:
    return (1 - weight) * first + weight * old
