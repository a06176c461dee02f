"""First and second moments of pairs of rows."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

__all__ = ["Moments"]

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

    def __sub__(self, other: Moments) -> Moments:
        """Of these rows without others that are among them, and not all."""
        n = self.n - other.n
        mean_x = (self.n * self.mean_x - other.n * other.mean_x) / n
        mean_y = (self.n * self.mean_y - other.n * other.mean_y) / n
        apart_x, apart_y = other.mean_x - mean_x, other.mean_y - mean_y
        share = n * other.n / self.n
        return Moments(
            n,
            mean_x,
            mean_y,
            self.xx - other.xx - share * np.outer(apart_x, apart_x),
            self.xy - other.xy - share * np.outer(apart_x, apart_y),
        )
