"""First and second moments of pairs of rows, and the ridge regression that they determine."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from crossfade.upgrade.transform import Affine

__all__ = ["Moments", "ridge_map"]

_Float64 = NDArray[np.float64]


@dataclass(frozen=True, eq=False)
class Moments:
    """Means and centred sums of products of ``n`` pairs of inputs x and outputs y.

    Attributes:
        mean_x: ``(d_x,)``. mean_y: ``(d_y,)``.
        xx: ``(d_x, d_x)``, sum of centred x^T x. xy: ``(d_x, d_y)``, of centred x^T y.
    """

    n: int
    mean_x: _Float64
    mean_y: _Float64
    xx: _Float64
    xy: NDArray[np.floating]

    @classmethod
    def of(cls, x: NDArray[Any], y: NDArray[Any]) -> Moments:
        """Of rows ``(n, d_x)`` and ``(n, d_y)``, at least one."""
        x, y = x.astype(np.float64), y.astype(np.float64)
        mean_x, mean_y = x.mean(axis=0), y.mean(axis=0)
        x, y = x - mean_x, y - mean_y
        return cls(len(x), mean_x, mean_y, x.T @ x, x.T @ y)

    def __add__(self, other: Moments) -> Moments:
        """Of both sets of rows together (Chan, Golub & LeVeque 1979)."""
        n = self.n + other.n
        apart_x, apart_y = other.mean_x - self.mean_x, other.mean_y - self.mean_y
        share = self.n * other.n / n
        return Moments(
            n,
            self.mean_x + apart_x * (other.n / n),
            self.mean_y + apart_y * (other.n / n),
            self.xx + other.xx + share * np.outer(apart_x, apart_x),
            self.xy + other.xy + share * np.outer(apart_x, apart_y),
        )


def ridge_map(moments: Moments, penalty: float | None = None) -> Affine:
    """Least squares from x to y with an L2 penalty, centred.

    ``W = (X^T X + penalty * mean eigenvalue * I)^-1 X^T Y``: the penalty is relative, so one
    value serves every scale. None takes ``0.05 (d / n)^2``, between 1e-5 and 1: held-out
    reconstruction asks for far more shrinkage than ranking can bear, so it is not asked.
    """
    d = len(moments.xx)
    if penalty is None:
        penalty = min(1.0, max(1e-5, 0.05 * (d / moments.n) ** 2))
    # The floor keeps the system solvable when all inputs are the same vector.
    strength = penalty * max(float(np.trace(moments.xx)) / d, 1e-9)
    weight = np.linalg.solve(moments.xx + strength * np.eye(d), moments.xy)
    bias = moments.mean_y - moments.mean_x @ weight
    return Affine(weight.astype(np.float32), bias.astype(np.float32))
