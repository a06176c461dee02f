"""Linear maps that the moments of pairs determine: ridge regression, also with a turn in it."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from crossfade.upgrade.moments import Moments
from crossfade.upgrade.transform import Affine

__all__ = ["ridge_map", "turned_ridge_map"]

_Float64 = NDArray[np.float64]
_SMALLEST_SINGULAR_VALUE = 1e-6
"""Relative to the largest: products are kept in float32."""


def ridge_map(moments: Moments, penalty: float | None = None) -> Affine:
    """Least squares from x to y with an L2 penalty, centred.

    ``W = (X^T X + penalty * mean eigenvalue * I)^-1 X^T Y``: the penalty is relative, so one
    value serves every scale. None takes ``0.05 (d / n)^2``, between 1e-5 and 1: held-out
    reconstruction asks for far more shrinkage than ranking can bear, so it is not asked.
    """
    return _about_means(moments, _ridge(moments, penalty))


def turned_ridge_map(
    moments: Moments, penalty: float | None = None, rotation_share: float = 0.0
) -> Affine:
    """A ridge with a share of a rotation in it (ours), ``(d_x, d_y)``.

    ``W = (1 - share) W_ridge + share * s * R``, R the centred rotation where the pairs determine
    it, s such that both spread the pairs' inputs alike. A ridge bends to its few pairs and
    shrinks what they don't show; a rotation keeps all distances and bends to nothing.

    Args:
        rotation_share: 0 to 1; 0 is the ridge.
    """
    weight = _ridge(moments, penalty)
    if rotation_share:
        turn = _rotation(moments)
        spread = _spread(moments, weight) / max(_spread(moments, turn), 1e-12)
        weight = (1 - rotation_share) * weight + rotation_share * np.sqrt(spread) * turn
    return _about_means(moments, weight)


def _ridge(moments: Moments, penalty: float | None) -> _Float64:
    d = len(moments.xx)
    if penalty is None:
        penalty = min(1.0, max(1e-5, 0.05 * (d / moments.n) ** 2))
    # The floor keeps the system solvable when all inputs are the same vector.
    strength = penalty * max(float(np.trace(moments.xx)) / d, 1e-9)
    weight: _Float64 = np.linalg.solve(moments.xx + strength * np.eye(d), moments.xy)
    return weight


def _rotation(moments: Moments) -> _Float64:
    left, values, right = np.linalg.svd(moments.xy.astype(np.float64), full_matrices=False)
    # Fewer pairs than dimensions leave directions of which nothing is known: mapped to nothing.
    known = values > _SMALLEST_SINGULAR_VALUE * values[0]
    turn: _Float64 = left[:, known] @ right[known]
    return turn


def _spread(moments: Moments, weight: _Float64) -> float:
    """Sum of squares of the pairs' mapped inputs about their mean."""
    return float(np.sum((moments.xx @ weight) * weight))


def _about_means(moments: Moments, weight: _Float64) -> Affine:
    bias = moments.mean_y - moments.mean_x @ weight
    return Affine(weight.astype(np.float32), bias.astype(np.float32))
