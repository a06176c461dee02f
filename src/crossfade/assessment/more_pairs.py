"""What more pairs would add: measured by what the second half of them has added.

How good a map is rises about evenly with the logarithm of the number of pairs over a wide range
(``docs/experiments.md``, "More pairs, more landmarks"), so the next doubling adds about what the
last one did.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from crossfade.assessment.evidence import (
    COVERAGE,
    Candidate,
    Measured,
    candidates_of,
    fit_as_handed_on,
    metric_of,
    order_curve,
)
from crossfade.assessment.resampling import (
    BOOTSTRAP_SAMPLES,
    Interval,
    query_groups,
    query_weights,
)
from crossfade.assessment.sample import FEWEST_PAIRS, Sample
from crossfade.assessment.splits import Fold
from crossfade.fit.settings import FitSettings, ProgressCallback
from crossfade.orders import RANDOM
from crossfade.upgrade import Side

__all__ = ["MorePairs", "gain_of_pairs"]


@dataclass(frozen=True)
class MorePairs:
    """What the second half of the pairs has added for a candidate.

    Attributes:
        candidate: the recommended method in one of its modes.
        pairs: fitted on, the mean of the parts.
        area: of the curve, as a share of old/old. start: of its first point, likewise.
    """

    candidate: Candidate
    pairs: int
    area: Interval
    start: Interval

    def describe(self) -> dict[str, Any]:
        """As JSON."""
        return {
            "method": self.candidate.method,
            "mode": self.candidate.mode.value,
            "pairs": self.pairs,
            "area": self.area.describe(),
            "start": self.start.describe(),
        }


def gain_of_pairs(
    sample: Sample,
    measured: Sequence[Measured],
    method: str,
    settings: FitSettings,
    *,
    use_labels: bool,
    progress: ProgressCallback | None = None,
    on_step: Callable[[str], None] | None = None,
) -> list[MorePairs]:
    """Fit the method on half of each fold's pairs, and compare, in each mode that it has.

    Nothing for a method without a map, or where halves are too few pairs to say anything.

    Args:
        measured: the folds of random rows, with what was fitted on them.
    """
    rng = np.random.default_rng([settings.seed, 26])
    both: list[tuple[Measured, Measured]] = []
    for number, whole in enumerate(measured):
        fitting = whole.fold.fitting
        if whole.upgrades[method].side is Side.NONE or len(fitting) < 2 * FEWEST_PAIRS:
            return []
        if on_step:
            on_step(f"half of the pairs, part {number + 1}: {method}")
        rows = np.sort(rng.permutation(len(fitting))[: len(fitting) // 2])
        fold = Fold(fitting.subset(rows), whole.fold.held_out)
        upgrade = fit_as_handed_on(
            sample, fold, method, settings, use_labels=use_labels, progress=progress
        )
        half = Measured(whole.held_out, fold, whole.tasks, {method: upgrade})
        both.append((half, whole))
    if not both:
        return []
    candidates = candidates_of(both[0][1].upgrades[method])
    return [_added(sample, both, candidate, settings.seed) for candidate in candidates]


def _added(
    sample: Sample, both: Sequence[tuple[Measured, Measured]], candidate: Candidate, seed: int
) -> MorePairs:
    rng = np.random.default_rng([seed, 27])
    areas, starts, old, weights = [], [], [], []
    for half, whole in both:
        task = whole.tasks[0]
        metric = metric_of(sample, task.asked)
        before, after = (order_curve(one, task, candidate, RANDOM, seed=0) for one in (half, whole))
        gain = after.merged[metric] - before.merged[metric]
        areas.append(np.asarray(np.trapezoid(gain, COVERAGE, axis=0)))
        starts.append(gain[0])
        old.append(before.old_old[metric])
        groups = query_groups(task.relevance, before.queries)
        weights.append(query_weights(groups, BOOTSTRAP_SAMPLES, rng))
    weight, olds = np.concatenate(weights, axis=1), np.concatenate(old)

    def share_of_old(gains: list[NDArray[np.float64]]) -> Interval:
        values = np.concatenate(gains)
        resampled = (weight @ values) / np.maximum(weight @ olds, 1e-9)
        return Interval.of(values.mean() / max(olds.mean(), 1e-9), resampled)

    pairs = round(np.mean([len(whole.fold.fitting) for _, whole in both]))
    return MorePairs(candidate, pairs, share_of_old(areas), share_of_old(starts))
