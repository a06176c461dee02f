"""Kernel ridge on what the forward ridge leaves over: nonlinear, closed form, no PyTorch."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from crossfade.embeddings import FloatArray, Pairs
from crossfade.fit.moments import pair_moments
from crossfade.fit.reference import two_encoder_reference
from crossfade.fit.settings import FitSettings, ProgressCallback
from crossfade.upgrade import Affine, Kernel, Side, Transform, Upgrade, ridge_map

__all__ = ["fit_forward_kernel", "residual_kernel"]

_GAMMA = 2.0
_PENALTY = 3e-6
"""Relative to the number of pairs, for a kernel whose diagonal is 1."""
_LEAST_STRENGTH = 1e-3
"""Where pairs of one old vector differ, weights are up to its inverse, and cancel in float32."""
_MOST_LANDMARKS = 5_000
_MOST_PAIRS = 20_000
_ROWS = 2_048
_JITTER = 1e-4
"""Keeps the normal equations solvable where two landmarks are the same vector."""

_Float64 = NDArray[np.float64]


def fit_forward_kernel(
    pairs: Pairs, settings: FitSettings, progress: ProgressCallback | None = None
) -> Upgrade:
    """``f(o) = ridge(o) + sum_j k(o, l_j) w_j``, scaled to unit length (ours).

    Kernel ridge regression (Saunders, Gammerman & Vovk, *Ridge Regression Learning Algorithm in
    Dual Variables*, ICML 1998) of the ridge's residuals. It finds what few pairs show beyond a
    linear map, where a network of as many pairs finds nothing (``docs/experiments.md``).
    """
    skip = ridge_map(pair_moments(pairs, forward=True), settings.ridge_penalty)
    return Upgrade(
        method="forward_kernel",
        source=pairs.source,
        target=pairs.target,
        side=Side.ITEMS,
        forward=Transform(skip, kernel=residual_kernel(pairs, skip, settings.seed)),
        two_encoder=two_encoder_reference(pairs, settings),
    )


def residual_kernel(
    pairs: Pairs,
    skip: Affine,
    seed: int,
    *,
    gamma: float = _GAMMA,
    penalty: float = _PENALTY,
    most_landmarks: int = _MOST_LANDMARKS,
    most_pairs: int = _MOST_PAIRS,
) -> Kernel:
    """Kernel ridge of ``new - skip(old)`` on the old vectors.

    All n pairs are landmarks if they are few enough: ``W = (K + penalty n I)^-1 R`` with K
    ``(n, n)`` and R ``(n, d_new)``. Of more, m are drawn (Nystroem; Williams & Seeger, NIPS
    2000), and ``W = (K_nm^T K_nm + penalty n K_mm)^-1 K_nm^T R`` has the least penalised
    squared error over all pairs, or over ``most_pairs`` of them.

    Args:
        skip: old to new. gamma: of the kernel. penalty: relative to the number of pairs.
        most_landmarks: what maps an item in a bounded time. most_pairs: what is fitted on.
    """
    order = np.random.default_rng([seed, 5]).permutation(len(pairs))
    drawn = np.sort(order[:most_landmarks])
    landmarks = pairs.old_rows(drawn)
    rows = drawn if len(pairs) <= most_landmarks else np.sort(order[:most_pairs])
    strength = max(penalty * len(rows), _LEAST_STRENGTH)
    if rows is drawn:
        weight = _full(landmarks, _residuals(pairs, rows, skip), gamma, strength)
    else:
        weight = _nystroem(pairs, rows, landmarks, skip, gamma, strength)
    return Kernel(landmarks, weight.astype(np.float32), gamma)


def _full(landmarks: FloatArray, residuals: _Float64, gamma: float, strength: float) -> _Float64:
    similar = _similarities(landmarks, landmarks, gamma)
    similar[np.diag_indices_from(similar)] += strength
    return np.asarray(np.linalg.solve(similar, residuals), dtype=np.float64)


def _nystroem(
    pairs: Pairs,
    rows: NDArray[np.intp],
    landmarks: FloatArray,
    skip: Affine,
    gamma: float,
    strength: float,
) -> _Float64:
    normal = _similarities(landmarks, landmarks, gamma)
    normal[np.diag_indices_from(normal)] += _JITTER
    normal *= strength
    wanted = np.zeros((len(landmarks), pairs.target.dim))
    for start in range(0, len(rows), _ROWS):
        part = rows[start : start + _ROWS]
        similar = _similarities(pairs.old_rows(part), landmarks, gamma)
        normal += similar.T @ similar
        wanted += similar.T @ _residuals(pairs, part, skip)
    return np.asarray(np.linalg.solve(normal, wanted), dtype=np.float64)


def _residuals(pairs: Pairs, rows: NDArray[np.intp], skip: Affine) -> _Float64:
    mapped = skip(pairs.old_rows(rows)).astype(np.float64)
    return np.asarray(pairs.new_rows(rows) - mapped, dtype=np.float64)


def _similarities(x: FloatArray, landmarks: FloatArray, gamma: float) -> _Float64:
    similar: _Float64 = x.astype(np.float64) @ landmarks.T.astype(np.float64)
    similar -= 1.0
    similar *= gamma
    return np.exp(similar, out=similar)
