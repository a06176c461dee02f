"""Two models' views of one item, on one scale (two-encoder mode).

While a gallery is backfilled, an item has up to three similarities to a query: of its old
vector to the old query, of its mapped vector to the new query, and of its new vector, once it
is backfilled, to the new query. Each view is standardised for each query (mean and deviation
over a fixed sample of items that the artifact carries: a service can't see the whole gallery
for each query, a thousand dot products it can). Of these standardised views:

    not yet backfilled   z = 1.05 mix(z_mapped, z_old; w)
    backfilled           z = mix(z_new, z_old; w_c),   w_c = w_new (1 - c)^1.5

with ``mix(a, b; w) = m / tail(m)``, ``m = (1 - w) a + w b``, where ``tail`` is the mean of the
highest hundredth of m over the sample. Ranking lives in the upper tail: a better model has a
longer one, two views that agree only in part mix to a shorter one, and lists whose tails
differ do not merge. Backfilled items keep a share of the old view so that both sides err
alike; the share fades with coverage c and is nothing at c = 1, where the answer is exactly the
new model's. The result is put back on the new view's scale.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from crossfade.embeddings import FloatArray
from crossfade.errors import InvalidInput
from crossfade.upgrade.shares import share_to_make_up

__all__ = ["Combiner", "SampleScores", "ScoreScale", "TwoEncoder", "score_scale"]

_SMALLEST_DEVIATION = 1e-6
_FADE = 1.5
_FITTED_TAIL = 1.05
"""The map was fitted on the sample's items, so their mapped scores reach a little too high."""
_TAIL_SHARE, _FEWEST_IN_TAIL = 0.01, 3


@dataclass(frozen=True, eq=False)
class TwoEncoder:
    """How to combine both models' scores.

    Attributes:
        weight: w, the old query's share for an item that is not yet backfilled, 0 to 1.
        new_weight: w_new, its share at coverage 0 for one that is, 0 to 1.
        reference_old: ``(m, d_old)`` old embeddings of a fixed sample of items.
        reference_new: ``(m, d_new)`` new embeddings of the same items.

    Where a map repeats the new vectors of a share of the gallery (``known``, 0 to 1), backfilled
    items are scored as if those were backfilled too, and where it repeats all of them nothing is
    left of the old view: a backfill that brings nothing new changes nothing.
    """

    weight: float
    new_weight: float
    reference_old: FloatArray
    reference_new: FloatArray

    def __post_init__(self) -> None:
        for name in ("weight", "new_weight"):
            if not 0.0 <= getattr(self, name) <= 1.0:
                raise InvalidInput(f"two-encoder {name} is {getattr(self, name)}, wanted 0 to 1")
        if len(self.reference_old) < 2 or len(self.reference_old) != len(self.reference_new):
            raise InvalidInput(
                f"two-encoder sample has {len(self.reference_old)} old and "
                f"{len(self.reference_new)} new rows, wanted as many of both, at least 2"
            )

    def new_share(self, coverage: float, known: float = 0.0) -> float:
        """w_c: the old query's share for a backfilled item at this coverage."""
        return float(self.new_weight * ((1.0 - known) * (1.0 - coverage)) ** _FADE)

    def old_weight(self, known: float = 0.0) -> float:
        """The old query's share for an item that is not backfilled."""
        return self.weight * share_to_make_up(known)


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
        known: the share of the gallery whose new vectors the map repeats, 0 to 1.
    """

    def __init__(self, rule: TwoEncoder, sample: SampleScores, known: float = 0.0) -> None:
        self._rule = rule
        self._known = known
        self._old_weight = rule.old_weight(known)
        self._mapped = score_scale(sample.mapped)
        self._old = score_scale(sample.old)
        self._new = score_scale(sample.new)
        self._sample_old = self._old.standard(sample.old)
        self._sample_new = self._new.standard(sample.new)
        self._new_tail = _tail(self._sample_new)
        mixed = self._mixed_tail(self._mapped.standard(sample.mapped), self._old_weight)
        self._old_side_tail = mixed / _FITTED_TAIL ** (1.0 - known)

    def old_side(self, mapped: FloatArray, old: FloatArray) -> FloatArray:
        """Scores ``(q, n)`` of items that are not yet backfilled. They rise with either view."""
        mixed = _mix(self._mapped.standard(mapped), self._old.standard(old), self._old_weight)
        return self._on_new_scale(mixed / self._old_side_tail)

    def new_side(self, new: FloatArray, old: FloatArray, coverage: float) -> FloatArray:
        """Scores ``(q, n)`` of backfilled items. They rise with either view."""
        share = self._rule.new_share(coverage, self._known)
        if share <= 0.0:
            return np.asarray(new, dtype=np.float32)
        mixed = _mix(self._new.standard(new), self._old.standard(old), share)
        return self._on_new_scale(mixed / self._mixed_tail(self._sample_new, share))

    def _mixed_tail(self, standard: FloatArray, weight: float) -> FloatArray:
        return _tail(_mix(standard, self._sample_old, weight))

    def _on_new_scale(self, mixed: FloatArray) -> FloatArray:
        scale = self._new
        return np.asarray(scale.mean + scale.deviation * self._new_tail * mixed, dtype=np.float32)


def score_scale(scores: FloatArray) -> ScoreScale:
    """The scale of ``(q, m)`` scores over a sample of items."""
    deviation = scores.std(axis=1, keepdims=True)
    return ScoreScale(
        scores.mean(axis=1, keepdims=True), np.maximum(deviation, _SMALLEST_DEVIATION)
    )


def _mix(first: FloatArray, old: FloatArray, weight: float) -> FloatArray:
    return (1 - weight) * first + weight * old


def _tail(standard: FloatArray) -> FloatArray:
    """Mean of the highest scores over the sample, ``(q, 1)``."""
    m = standard.shape[1]
    count = min(m, max(_FEWEST_IN_TAIL, round(_TAIL_SHARE * m)))
    highest = np.partition(standard, m - count, axis=1)[:, m - count :]
    tail: FloatArray = np.maximum(highest.mean(axis=1, keepdims=True), _SMALLEST_DEVIATION)
    return tail
