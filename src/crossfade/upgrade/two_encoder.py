"""Two models' views of one old-side item, on one scale (two-encoder mode).

An item that is not yet backfilled can be scored by its mapped vector against the new query,
and by its old vector against the old query. The two scores live on different scales, so both
are standardised for each query (mean and deviation over items) and mixed,
``z = (1 - w) * z_mapped + w * z_old``, and put back on the mapped score's scale,
``s = mean_m + std_m * z / std(z)^p``. A mixture of two views that agree only in part varies
less than each of them, which would push the old side down in the merged list; p restores
most of that. A service can't see the whole gallery for each query, so means and deviations
come from a fixed sample of items that the artifact carries: a thousand dot products a query.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from crossfade.embeddings import FloatArray
from crossfade.errors import InvalidInput

__all__ = ["Combiner", "ScoreScale", "TwoEncoder", "score_scale"]

_SMALLEST_DEVIATION = 1e-6
# The power p of the module's formula: 0 keeps the mixture's own deviation, 1 restores all.
_RESTORED = 0.75


@dataclass(frozen=True, eq=False)
class TwoEncoder:
    """How to combine the old query's score with the mapped one.

    Attributes:
        weight: w, the old query's share, 0 to 1.
        reference_old: ``(m, d_old)`` old embeddings of a fixed sample of items.
    """

    weight: float
    reference_old: FloatArray

    def __post_init__(self) -> None:
        if not 0.0 <= self.weight <= 1.0:
            raise InvalidInput(f"two-encoder weight is {self.weight}, wanted 0 to 1")
        if len(self.reference_old) < 2:
            raise InvalidInput(f"two-encoder sample has {len(self.reference_old)} rows, wanted 2")

    def combiner(self, mapped: FloatArray, old: FloatArray) -> Combiner:
        """Learn each query's scales from its scores ``(q, m)`` over the sample."""
        mapped_scale, old_scale = score_scale(mapped), score_scale(old)
        mixed = self._mix(mapped_scale.standard(mapped), old_scale.standard(old))
        spread = np.maximum(mixed.std(axis=1, keepdims=True), _SMALLEST_DEVIATION)
        return Combiner(self, mapped_scale, old_scale, spread**_RESTORED)

    def _mix(self, mapped: FloatArray, old: FloatArray) -> FloatArray:
        return (1 - self.weight) * mapped + self.weight * old


@dataclass(frozen=True, eq=False)
class ScoreScale:
    """Mean and deviation of each query's scores over the sample, both ``(q, 1)``."""

    mean: FloatArray
    deviation: FloatArray

    def standard(self, scores: FloatArray) -> FloatArray:
        """Scores ``(q, n)`` in deviations from the mean."""
        return (scores - self.mean) / self.deviation


@dataclass(frozen=True, eq=False)
class Combiner:
    """Puts ``(q, n)`` mapped and old scores of the same items together."""

    rule: TwoEncoder
    mapped_scale: ScoreScale
    old_scale: ScoreScale
    spread: FloatArray

    def __call__(self, mapped: FloatArray, old: FloatArray) -> FloatArray:
        """Combined scores ``(q, n)``, on the mapped scores' scale."""
        mixed = self.rule._mix(self.mapped_scale.standard(mapped), self.old_scale.standard(old))
        scale = self.mapped_scale
        return np.asarray(scale.mean + scale.deviation * mixed / self.spread, dtype=np.float32)


def score_scale(scores: FloatArray) -> ScoreScale:
    """The scale of ``(q, m)`` scores over a sample of items."""
    deviation = scores.std(axis=1, keepdims=True)
    return ScoreScale(
        scores.mean(axis=1, keepdims=True), np.maximum(deviation, _SMALLEST_DEVIATION)
    )
