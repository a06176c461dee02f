"""Two models' views of one old-side item, on one scale (two-encoder mode).

An item that is not yet backfilled can be scored by its mapped vector against the new query,
and by its old vector against the old query. The two scores live on different scales; the
second is put on the first's by mean and deviation, for each query:
``s = (1 - w) * mapped + w * (mean_m + std_m * (old - mean_o) / std_o)``.
A service can't see the whole gallery for each query, so means and deviations come from a
fixed sample of gallery items that the artifact carries: a thousand dot products a query.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from crossfade.embeddings import FloatArray
from crossfade.errors import InvalidInput

__all__ = ["ScoreScale", "TwoEncoder", "score_scale"]

_SMALLEST_DEVIATION = 1e-6


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

    def combine(
        self, mapped: FloatArray, old: FloatArray, mapped_scale: ScoreScale, old_scale: ScoreScale
    ) -> FloatArray:
        """Combine ``(q, n)`` scores, given each query's scales ``(q, 1)``."""
        standard = (old - old_scale.mean) / old_scale.deviation
        on_scale = mapped_scale.mean + mapped_scale.deviation * standard
        return np.asarray((1 - self.weight) * mapped + self.weight * on_scale, dtype=np.float32)


@dataclass(frozen=True, eq=False)
class ScoreScale:
    """Mean and deviation of each query's scores over the sample, both ``(q, 1)``."""

    mean: FloatArray
    deviation: FloatArray


def score_scale(scores: FloatArray) -> ScoreScale:
    """The scale of ``(q, m)`` scores over a sample of items."""
    deviation = scores.std(axis=1, keepdims=True)
    return ScoreScale(
        scores.mean(axis=1, keepdims=True), np.maximum(deviation, _SMALLEST_DEVIATION)
    )
