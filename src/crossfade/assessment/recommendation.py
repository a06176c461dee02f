"""Which method, mode and order, and how sure that is."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np

from crossfade.assessment.evidence import COVERAGE, Candidate, Measured, metric_of, order_curve
from crossfade.assessment.prediction import Prediction, Regret
from crossfade.assessment.resampling import Interval, query_groups, query_weights
from crossfade.assessment.sample import Sample
from crossfade.errors import InvalidInput
from crossfade.orders import RANDOM, TO_CHOOSE_FROM
from crossfade.upgrade import Mode

__all__ = ["Recommendation", "recommend", "recommend_order"]

_SEVERITY = {Regret.NONE: 0, Regret.POSSIBLE: 1, Regret.LIKELY: 2}
_ORDER_SAMPLES = 500


@dataclass(frozen=True)
class Recommendation:
    """What to do.

    Attributes:
        candidate: method and mode. order: of backfilling.
        regret: the worst that any evidence says of it.
        certainty: share of bootstrap samples in which it is the best of its kind.
        one_encoder_regret, two_encoder_regret: of the best candidate of either mode, or None
            where there is none.
        order_gain: points of gain share (or of area over old/old) that the order adds to
            random order, on the pessimistic evidence; None for random order.
    """

    candidate: Candidate
    order: str
    regret: Regret
    certainty: float
    one_encoder_regret: Regret | None
    two_encoder_regret: Regret | None
    order_gain: Interval | None = None

    def describe(self) -> dict[str, Any]:
        """As JSON."""
        one, two = self.one_encoder_regret, self.two_encoder_regret
        return {
            "method": self.candidate.method,
            "mode": self.candidate.mode.value,
            "order": self.order,
            "regret": self.regret.value,
            "certainty": round(self.certainty, 3),
            "one_encoder_regret": None if one is None else one.value,
            "two_encoder_regret": None if two is None else two.value,
            "order_gain": None if self.order_gain is None else self.order_gain.describe(),
        }


def recommend(predictions: Sequence[Prediction]) -> Recommendation:
    """Choose by the evidence that is worst for each candidate.

    Without regret on any evidence, the largest area wins, in one-encoder mode if possible: it
    costs half as much a query. Where no candidate is without regret, the highest worst point
    wins in either mode.
    """
    by_candidate: dict[Candidate, list[Prediction]] = {}
    for prediction in predictions:
        by_candidate.setdefault(prediction.candidate, []).append(prediction)
    regret = {
        candidate: max((one.regret for one in own), key=_SEVERITY.__getitem__)
        for candidate, own in by_candidate.items()
    }
    safe = [candidate for candidate in by_candidate if regret[candidate] is Regret.NONE]
    pool = _of_mode(safe, Mode.ONE_ENCODER) or safe or list(by_candidate)
    best, certainty = _best({one: by_candidate[one] for one in pool}, by_area=bool(safe))
    return Recommendation(
        candidate=best,
        order=RANDOM,
        regret=regret[best],
        certainty=certainty,
        one_encoder_regret=_least_regret(regret, Mode.ONE_ENCODER),
        two_encoder_regret=_least_regret(regret, Mode.TWO_ENCODER),
    )


def recommend_order(
    sample: Sample, measured: Sequence[Measured], candidate: Candidate, seed: int
) -> tuple[str, Interval | None]:
    """The order that surely adds most area to random order on the given folds, if any does.

    Orders that the upgrade can't give are left out.
    """
    best: tuple[str, Interval | None] = (RANDOM, None)
    for order in TO_CHOOSE_FROM:
        try:
            added = _added_area(sample, measured, candidate, order, seed)
        except InvalidInput:
            continue
        if added.low > 0 and (best[1] is None or added.value > best[1].value):
            best = (order, added)
    return best


def _best(pool: dict[Candidate, list[Prediction]], *, by_area: bool) -> tuple[Candidate, float]:
    """The best by its worst evidence, and the share of bootstrap samples that agree."""
    candidates = list(pool)
    if by_area:
        value = [min(one.area for one in own) for own in pool.values()]
        samples = [np.min([one.areas for one in own], axis=0) for own in pool.values()]
    else:
        value = [min(one.worst_point.value for one in own) for own in pool.values()]
        samples = [np.min([one.worsts for one in own], axis=0) for own in pool.values()]
    best = int(np.argmax(value))
    agree = np.argmax(samples, axis=0) == best
    return candidates[best], float(agree.mean())


def _of_mode(candidates: Sequence[Candidate], mode: Mode) -> list[Candidate]:
    return [candidate for candidate in candidates if candidate.mode is mode]


def _least_regret(regret: dict[Candidate, Regret], mode: Mode) -> Regret | None:
    found = [kind for candidate, kind in regret.items() if candidate.mode is mode]
    return min(found, key=_SEVERITY.__getitem__, default=None)


def _added_area(
    sample: Sample, measured: Sequence[Measured], candidate: Candidate, order: str, seed: int
) -> Interval:
    """Area that an order adds to random order, as a share of old/old."""
    rng = np.random.default_rng([seed, 25])
    added, old, weights = [], [], []
    for fold in measured:
        for task in fold.tasks[:1]:
            metric = metric_of(sample, task.asked)
            random, ordered = (
                order_curve(fold, task, candidate, name, seed) for name in (RANDOM, order)
            )
            gain = ordered.merged[metric] - random.merged[metric]
            added.append(np.trapezoid(gain, COVERAGE, axis=0))
            old.append(random.old_old[metric])
            groups = query_groups(task.relevance, random.queries)
            weights.append(query_weights(groups, _ORDER_SAMPLES, rng))
    gains, olds, weight = (
        np.concatenate(added),
        np.concatenate(old),
        np.concatenate(weights, axis=1),
    )
    before = np.maximum(weight @ olds, 1e-9)
    return Interval.of(gains.mean() / max(olds.mean(), 1e-9), (weight @ gains) / before)
