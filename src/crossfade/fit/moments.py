"""First and second moments of pairs, one pass in chunks: memory does not grow with n."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from crossfade.embeddings import Pairs
from crossfade.errors import InvalidInput
from crossfade.upgrade import Affine

__all__ = ["Moments", "pair_moments", "ridge_map"]

_CHUNK_ROWS = 8_192
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
    xy: _Float64


def pair_moments(pairs: Pairs, *, forward: bool) -> Moments:
    """Moments with x = old, y = new (``forward``), or x = new, y = old.

    Raises:
        InvalidInput: there are no pairs.
    """
    if len(pairs) == 0:
        raise InvalidInput("fitting needs pairs, got none")
    dims = (pairs.source.dim, pairs.target.dim) if forward else (pairs.target.dim, pairs.source.dim)
    sum_x, sum_y = np.zeros(dims[0]), np.zeros(dims[1])
    xx, xy = np.zeros((dims[0], dims[0])), np.zeros(dims)
    for start in range(0, len(pairs), _CHUNK_ROWS):
        rows = slice(start, start + _CHUNK_ROWS)
        x, y = pairs.old_rows(rows).astype(np.float64), pairs.new_rows(rows).astype(np.float64)
        x, y = (x, y) if forward else (y, x)
        sum_x += x.sum(axis=0)
        sum_y += y.sum(axis=0)
        xx += x.T @ x
        xy += x.T @ y
    n = len(pairs)
    mean_x, mean_y = sum_x / n, sum_y / n
    return Moments(
        n,
        mean_x,
        mean_y,
        xx - n * np.outer(mean_x, mean_x),
        xy - n * np.outer(mean_x, mean_y),
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
