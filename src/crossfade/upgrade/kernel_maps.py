"""Kernel ridge on what a linear map leaves over: nonlinear, closed form."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from crossfade.embeddings import FloatArray
from crossfade.upgrade.transform import Affine, Kernel

__all__ = ["MOST_LANDMARKS", "MOST_PAIRS", "residual_kernel"]

MOST_LANDMARKS = 5_000
"""What maps an item in a bounded time."""
MOST_PAIRS = 20_000
"""What is fitted on in a bounded time."""
_GAMMA = 2.0
_PENALTY = 3e-6
"""Relative to the number of pairs, for a kernel whose diagonal is 1."""
_LEAST_STRENGTH = 1e-3
"""Where pairs of one old vector differ, weights are up to its inverse, and cancel in float32."""
_ROWS = 2_048
_JITTER = 1e-4
"""Keeps the normal equations solvable where two landmarks are the same vector."""

_Float64 = NDArray[np.float64]


def residual_kernel(
    old: FloatArray,
    new: FloatArray,
    skip: Affine,
    landmarks: NDArray[np.intp] | None = None,
    *,
    gamma: float = _GAMMA,
    penalty: float = _PENALTY,
) -> Kernel:
    """Kernel ridge of ``new - skip(old)`` on the old vectors.

    With all n pairs as landmarks, ``W = (K + penalty n I)^-1 R``, K ``(n, n)`` and R
    ``(n, d_new)``, and a nugget gives those pairs back as they are. With some of them (Nystroem;
    Williams & Seeger, NIPS 2000), ``W = (K_nm^T K_nm + penalty n K_mm)^-1 K_nm^T R`` has the least
    penalised squared error over all pairs.

    Args:
        old: ``(n, d_old)``. new: ``(n, d_new)``. skip: old to new.
        landmarks: ``(m,)`` rows; None for all.
        gamma: of the kernel. penalty: relative to the number of pairs.
    """
    strength = max(penalty * len(old), _LEAST_STRENGTH)
    if landmarks is None:
        weight = _full(old, new, skip, gamma, strength).astype(np.float32)
        return Kernel(np.ascontiguousarray(old), weight, gamma, nugget=strength)
    chosen = np.ascontiguousarray(old[landmarks])
    weight = _nystroem(old, new, chosen, skip, gamma, strength).astype(np.float32)
    return Kernel(chosen, weight, gamma)


def _full(
    old: FloatArray, new: FloatArray, skip: Affine, gamma: float, strength: float
) -> _Float64:
    similar = _similarities(old, old, gamma)
    similar[np.diag_indices_from(similar)] += strength
    return np.asarray(np.linalg.solve(similar, _residuals(old, new, skip)), dtype=np.float64)


def _nystroem(
    old: FloatArray,
    new: FloatArray,
    landmarks: FloatArray,
    skip: Affine,
    gamma: float,
    strength: float,
) -> _Float64:
    normal = _similarities(landmarks, landmarks, gamma)
    normal[np.diag_indices_from(normal)] += _JITTER
    normal *= strength
    wanted = np.zeros((len(landmarks), new.shape[1]))
    for start in range(0, len(old), _ROWS):
        part = slice(start, start + _ROWS)
        similar = _similarities(old[part], landmarks, gamma)
        normal += similar.T @ similar
        wanted += similar.T @ _residuals(old[part], new[part], skip)
    return np.asarray(np.linalg.solve(normal, wanted), dtype=np.float64)


def _residuals(old: FloatArray, new: FloatArray, skip: Affine) -> _Float64:
    return np.asarray(new - skip(old).astype(np.float64), dtype=np.float64)


def _similarities(x: FloatArray, landmarks: FloatArray, gamma: float) -> _Float64:
    similar: _Float64 = x.astype(np.float64) @ landmarks.T.astype(np.float64)
    similar -= 1.0
    similar *= gamma
    return np.exp(similar, out=similar)
