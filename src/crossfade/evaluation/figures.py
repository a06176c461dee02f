"""Figures of merit: one number for a whole backfilling curve.

A curve is the value of a metric at each coverage from 0 to 1; ``old_old`` and ``new_new`` are
the same metric of the two untouched models, before and after the upgrade.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from crossfade.errors import InvalidInput

__all__ = [
    "Figures",
    "area",
    "drop",
    "end_point",
    "figures_of_merit",
    "gain_share",
    "has_gain",
    "worst_point",
]

Curve = Sequence[float] | NDArray[Any]


@dataclass(frozen=True)
class Figures:
    """All figures of merit of one metric's curve."""

    auc: float
    gain_share: float
    worst_point: float
    drop: float
    end_point: float


def figures_of_merit(coverage: Curve, values: Curve, *, old_old: float, new_new: float) -> Figures:
    """Compute every figure of merit of one curve.

    Args:
        coverage: ``(steps,)`` rising from 0 to 1.
        values: ``(steps,)`` the metric at each coverage.
        old_old: the metric of the old model alone. new_new: of the new model alone.

    Raises:
        InvalidInput: fewer than two points, lengths that differ, or coverage not from 0 to 1.
    """
    auc = area(coverage, values)
    return Figures(
        auc=auc,
        gain_share=gain_share(auc, old_old=old_old, new_new=new_new),
        worst_point=worst_point(values, old_old=old_old),
        drop=drop(values),
        end_point=end_point(values, new_new=new_new),
    )


def area(coverage: Curve, values: Curve) -> float:
    """Area under the curve over coverage 0 to 1, by the trapezoid rule."""
    x, y = np.asarray(coverage, dtype=np.float64), np.asarray(values, dtype=np.float64)
    if x.shape != y.shape or x.ndim != 1 or len(x) < 2:
        raise InvalidInput(
            f"a curve needs at least two points, got coverage {x.shape} and values {y.shape}"
        )
    if x[0] != 0.0 or x[-1] != 1.0 or (np.diff(x) <= 0).any():
        raise InvalidInput(f"coverage must rise from 0 to 1, got {x[0]} to {x[-1]}")
    return float(np.trapezoid(y, x))


def gain_share(auc: float, *, old_old: float, new_new: float) -> float:
    """Share of the upgrade's gain that was had during the backfill: 0.5 is a straight line.

    NaN when both models score the same: there is no gain to have a share of. When the new
    model is the worse one the share counts how much of the *loss* was taken, and is not shown.
    """
    gap = new_new - old_old
    return (auc - old_old) / gap if gap != 0.0 else math.nan


def has_gain(*, old_old: float, new_new: float) -> bool:
    """Whether there is a gain, so that a share of it may be shown: the new model is better."""
    return new_new > old_old


def worst_point(values: Curve, *, old_old: float) -> float:
    """The lowest point of the curve against the old system: negative means regret."""
    return float(np.min(values)) - old_old


def drop(values: Curve) -> float:
    """The deepest fall from any point to any later one: 0 for a curve that never falls."""
    y = np.asarray(values, dtype=np.float64)
    return float(np.max(np.maximum.accumulate(y) - y))


def end_point(values: Curve, *, new_new: float) -> float:
    """The last point against the new model: above 0 is possible with a new-space head."""
    return float(values[-1]) - new_new
