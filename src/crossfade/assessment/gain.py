"""The gain of the upgrade itself: the new model alone against the old one, and the verdict."""

from __future__ import annotations

import math
from dataclasses import dataclass
from enum import StrEnum
from typing import Any

import numpy as np

from crossfade.assessment.resampling import (
    BOOTSTRAP_SAMPLES,
    Interval,
    query_groups,
    query_weights,
)
from crossfade.assessment.sample import Sample
from crossfade.evaluation import Scores, coverage_grid, curve_from_scores

__all__ = ["Gain", "Verdict", "judge", "measure_gain"]

_MOST_QUERIES = 2_000


class Verdict(StrEnum):
    """What to make of the new model."""

    WORTH_IT = "worth it"
    """Better than the old one, beyond the noise of the queries."""
    UNCERTAIN = "uncertain"
    """The queries are too few to tell."""
    REFUSE = "refuse"
    """Worse, or at most so little better that it is no upgrade."""
    UNKNOWN = "unknown gain"
    """Nothing says what is relevant, so no gain can be measured."""


@dataclass(frozen=True)
class Gain:
    """The new model alone minus the old one alone.

    Attributes:
        metric: of what. old, new: its mean over the queries, each model alone.
        difference: new minus old, with its interval.
        queries: measured. items: searched.
        least: the smallest gain that would be worth having.
        more_queries: about how many more would settle it; None where it is settled.
    """

    metric: str
    old: float
    new: float
    difference: Interval
    queries: int
    items: int
    least: float
    more_queries: int | None = None

    def describe(self) -> dict[str, Any]:
        """As JSON."""
        return {
            "metric": self.metric,
            "old_old": round(self.old, 5),
            "new_new": round(self.new, 5),
            "difference": self.difference.describe(),
            "queries": self.queries,
            "items": self.items,
            "least": round(self.least, 5),
            "more_queries": self.more_queries,
        }


def measure_gain(sample: Sample, seed: int, least_share: float) -> Gain | None:
    """Both models alone on the whole gallery of the sample; None without relevance.

    Args:
        least_share: the smallest gain worth having, as a share of the old model's metric.

    Raises:
        InvalidInput: no query has a relevant item.
    """
    if not sample.gain_is_known:
        return None
    rng = np.random.default_rng([seed, 20])
    gallery = sample.gallery_by_id
    queries = sample.queries_of(gallery, _MOST_QUERIES, rng)
    relevance = sample.relevance(queries, gallery)
    old, new = gallery.old_rows(), gallery.new_rows()

    def scores(rows: Any) -> Scores:
        old_old = queries.old_rows(rows) @ old.T
        new_new = queries.new_rows(rows) @ new.T
        return Scores(new=new_new, old=old_old, new_new=new_new, old_old=old_old)

    # Its two steps are the two models: nothing is merged.
    curve = curve_from_scores(scores, relevance, np.arange(len(gallery)), coverage_grid(2))
    before, after = curve.old_old[sample.metric], curve.new_new[sample.metric]
    weights = query_weights(query_groups(relevance, curve.queries), BOOTSTRAP_SAMPLES, rng)
    resampled = weights @ (after - before) / weights.sum(axis=1)
    difference = Interval.of(float((after - before).mean()), resampled)
    least = least_share * float(before.mean())
    return Gain(
        metric=sample.metric,
        old=float(before.mean()),
        new=float(after.mean()),
        difference=difference,
        queries=len(before),
        items=len(gallery),
        least=least,
        more_queries=_more_queries(difference, len(before), least),
    )


def judge(gain: Gain | None) -> Verdict:
    """``refuse`` unless a gain worth having is possible, ``worth it`` if there surely is one."""
    if gain is None:
        return Verdict.UNKNOWN
    if gain.difference.high <= gain.least:
        return Verdict.REFUSE
    return Verdict.WORTH_IT if gain.difference.low > 0 else Verdict.UNCERTAIN


def _more_queries(difference: Interval, queries: int, least: float) -> int | None:
    """Until the interval, which narrows as one over the root of their number, is on one side."""
    if difference.high <= least or difference.low > 0:
        return None
    half_width = (difference.high - difference.low) / 2
    # A gain is to be told from nothing, a loss from the least gain worth having.
    room = difference.value if difference.value > 0 else least - difference.value
    wanted = queries * (half_width / max(room, 1e-9)) ** 2
    return max(1, math.ceil(wanted - queries))
