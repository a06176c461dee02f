"""Bootstrap samples of queries, and intervals over them."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from crossfade.evaluation import LabelRelevance, Relevance

__all__ = ["BOOTSTRAP_SAMPLES", "Interval", "query_groups", "query_weights"]

BOOTSTRAP_SAMPLES = 1_000
_LOW, _HIGH = 0.025, 0.975
_FEWEST_CLASSES = 20

Weights = NDArray[np.float64]


@dataclass(frozen=True)
class Interval:
    """A value with its 95 % bootstrap interval."""

    value: float
    low: float
    high: float

    @classmethod
    def of(cls, value: float, samples: NDArray[Any]) -> Interval:
        """The value as measured, and the middle 95 % of ``(b,)`` resampled values."""
        low, high = np.quantile(samples, [_LOW, _HIGH])
        return cls(float(value), float(low), float(high))

    def describe(self) -> dict[str, float]:
        """As JSON."""
        return {name: round(getattr(self, name), 5) for name in ("value", "low", "high")}


def query_groups(relevance: Relevance, queries: NDArray[np.intp]) -> NDArray[np.intp]:
    """What is drawn together, ``(q,)``: a query alone, or all queries of a class.

    Queries of one class are answered by the same items, so they err together: as if they were
    independent, a few classes would pass for much evidence. With fewer than 20 classes there
    is nothing to draw from, and queries are drawn alone.
    """
    if isinstance(relevance, LabelRelevance):
        classes, codes = np.unique(relevance.query_codes[queries], return_inverse=True)
        if len(classes) >= _FEWEST_CLASSES:
            return np.asarray(codes, dtype=np.intp)
    return np.arange(len(queries))


def query_weights(groups: NDArray[np.intp], samples: int, rng: np.random.Generator) -> Weights:
    """How often each query is in each bootstrap sample, ``(samples, q)``."""
    count = int(groups.max()) + 1
    drawn = rng.multinomial(count, np.full(count, 1.0 / count), size=samples)
    return np.asarray(drawn[:, groups], dtype=np.float64)
