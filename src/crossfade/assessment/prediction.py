"""Predicted backfilling curves with confidence bands, and whether they risk regret."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from enum import StrEnum
from functools import cached_property
from typing import Any

import numpy as np
from numpy.typing import NDArray

from crossfade.assessment.evidence import COVERAGE, Asked, Candidate, Evidence
from crossfade.assessment.resampling import BOOTSTRAP_SAMPLES, Interval, query_weights
from crossfade.assessment.splits import HeldOut

__all__ = ["TOLERATED_LOSS", "Candidate", "Interval", "Prediction", "Regret", "predict"]

TOLERATED_LOSS = 0.005
"""How far below the old system a curve may fall, as a share of old/old."""

Samples = NDArray[np.float64]


class Regret(StrEnum):
    """Whether some coverage is worse than the old system by more than 0.5 % of it."""

    NONE = "no"
    """Not even at the lower end of the band."""
    POSSIBLE = "possible"
    """At the lower end of the band only."""
    LIKELY = "likely"
    """By the curve itself."""


@dataclass(frozen=True, eq=False)
class Prediction:
    """One candidate's curve on one kind of evidence.

    Attributes:
        candidate: method and mode. held_out: what was held out. asked: what the queries were.
        old, new: each model alone, on the same held-out items.
        curve: the metric at each coverage.
        gain_share: None where the gain of the held-out part is unknown, or not beyond its noise.
        worst_point: lowest point of the curve against old/old, as a share of old/old.
        regret: its kind. regret_share: the share of bootstrap samples with regret.
        pairs: fitted on, queries: asked, items: searched; the mean of the parts.
        areas, worsts: ``(b,)`` resampled, as shares of old/old; how candidates are compared.
    """

    candidate: Candidate
    held_out: HeldOut
    asked: Asked
    old: float
    new: float
    curve: tuple[Interval, ...]
    gain_share: Interval | None
    worst_point: Interval
    regret: Regret
    regret_share: float
    pairs: int
    queries: int
    items: int
    areas: Samples
    worsts: Samples

    @cached_property
    def values(self) -> NDArray[np.float64]:
        """The curve without its band, ``(steps,)``."""
        return np.array([point.value for point in self.curve])

    @property
    def area(self) -> float:
        """Area under the curve as a share of old/old."""
        return float(np.trapezoid(self.values, COVERAGE)) / max(self.old, 1e-9)

    def reaches(self, share: float) -> float | None:
        """The coverage from which ``share`` of the gain is there for good; None without gain."""
        if self.gain_share is None:
            return None
        wanted = self.old + share * (self.new - self.old)
        below = np.flatnonzero(self.values < wanted)
        if len(below) == 0:
            return 0.0
        last = int(below[-1])
        if last == len(COVERAGE) - 1:
            return 1.0
        low, high = self.values[last], self.values[last + 1]
        step = COVERAGE[last + 1] - COVERAGE[last]
        return float(COVERAGE[last] + step * (wanted - low) / (high - low))

    def describe(self) -> dict[str, Any]:
        """As JSON."""
        share = self.gain_share
        return {
            "method": self.candidate.method,
            "mode": self.candidate.mode.value,
            "held_out": self.held_out.value,
            "asked": self.asked.value,
            "old_old": round(self.old, 5),
            "new_new": round(self.new, 5),
            "coverage": COVERAGE.tolist(),
            "curve": [point.describe() for point in self.curve],
            "gain_share": None if share is None else share.describe(),
            "worst_point": self.worst_point.describe(),
            "regret": self.regret.value,
            "regret_share": round(self.regret_share, 3),
            "pairs": self.pairs,
            "queries": self.queries,
            "items": self.items,
        }


def predict(evidence: Evidence, *, gain_is_known: bool, seed: int) -> list[Prediction]:
    """Every candidate's prediction; all of them see the same bootstrap samples.

    A sample draws the folds with replacement, and the queries (or classes) in each of them.
    """
    weights = _sample_weights(evidence, np.random.default_rng([seed, 24]))
    mean = _Mean(weights)
    old, new = (mean([getattr(fold, side)[None] for fold in evidence.folds]) for side in _SIDES)
    predictions = []
    for candidate in evidence.folds[0].merged:
        curve = mean([fold.merged[candidate] for fold in evidence.folds])
        predictions.append(_prediction(evidence, candidate, curve, old, new, gain_is_known))
    return predictions


_SIDES = ("old", "new")


@dataclass(frozen=True, eq=False)
class _Resampled:
    """A mean over queries ``(steps,)``, and over each bootstrap sample ``(b, steps)``."""

    value: Samples
    samples: Samples


class _Mean:
    """The mean over the queries of all folds, as measured and resampled."""

    def __init__(self, weights: Sequence[Samples]) -> None:
        self._weights = weights
        self._total = np.sum([part.sum(axis=1) for part in weights], axis=0)[:, None]

    def __call__(self, folds: Sequence[Samples]) -> _Resampled:
        value = np.concatenate(folds, axis=1).mean(axis=1)
        sums = sum(part @ fold.T for part, fold in zip(self._weights, folds, strict=True))
        return _Resampled(value, np.asarray(sums / self._total))


def _sample_weights(evidence: Evidence, rng: np.random.Generator) -> list[Samples]:
    count = len(evidence.folds)
    drawn = rng.multinomial(count, np.full(count, 1.0 / count), size=BOOTSTRAP_SAMPLES)
    return [
        drawn[:, at, None] * query_weights(fold.groups, BOOTSTRAP_SAMPLES, rng)
        for at, fold in enumerate(evidence.folds)
    ]


def _prediction(
    evidence: Evidence,
    candidate: Candidate,
    curve: _Resampled,
    old: _Resampled,
    new: _Resampled,
    gain_is_known: bool,
) -> Prediction:
    old_samples = np.maximum(old.samples[:, 0], 1e-9)
    old_value, new_value = float(old.value[0]), float(new.value[0])
    worsts = curve.samples.min(axis=1) / old_samples - 1.0
    areas = np.trapezoid(curve.samples, COVERAGE, axis=1) / old_samples
    worst = Interval.of(curve.value.min() / max(old_value, 1e-9) - 1.0, worsts)
    parts = evidence.folds
    return Prediction(
        candidate=candidate,
        held_out=evidence.held_out,
        asked=evidence.asked,
        old=old_value,
        new=new_value,
        curve=tuple(map(Interval.of, curve.value, curve.samples.T)),
        gain_share=_gain_share(curve, old, new) if gain_is_known else None,
        worst_point=worst,
        regret=_regret(worst),
        regret_share=float((worsts < -TOLERATED_LOSS).mean()),
        pairs=round(np.mean([part.pairs for part in parts])),
        queries=sum(len(part.old) for part in parts),
        items=round(np.mean([part.items for part in parts])),
        areas=np.asarray(areas),
        worsts=np.asarray(worsts),
    )


def _gain_share(curve: _Resampled, old: _Resampled, new: _Resampled) -> Interval | None:
    gaps = new.samples[:, 0] - old.samples[:, 0]
    if Interval.of(0.0, gaps).low <= 0:
        return None  # a share of nothing
    areas = np.trapezoid(curve.samples, COVERAGE, axis=1)
    area = float(np.trapezoid(curve.value, COVERAGE))
    gap = float(new.value[0] - old.value[0])
    shares = (areas - old.samples[:, 0])[gaps > 0] / gaps[gaps > 0]
    return Interval.of((area - float(old.value[0])) / gap, shares)


def _regret(worst: Interval) -> Regret:
    if worst.value < -TOLERATED_LOSS:
        return Regret.LIKELY
    return Regret.NONE if worst.low >= -TOLERATED_LOSS else Regret.POSSIBLE
