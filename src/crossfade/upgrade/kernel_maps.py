"""Kernel ridge on what another map leaves over: nonlinear, closed form."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from crossfade.embeddings import FloatArray
from crossfade.upgrade.transform import Affine, Kernel, Transform, unit_inputs

__all__ = ["MOST_LANDMARKS", "MOST_PAIRS", "correcting_kernel", "residual_kernel"]

MOST_LANDMARKS = 10_000
"""What maps an item in a bounded time."""
MOST_PAIRS = 60_000
"""What is fitted on in a bounded time."""
_GAMMA = 1.0
_PENALTY = 3e-6
"""Relative to the number of pairs, for a kernel whose diagonal is 1."""
_LEAST_STRENGTH = 1e-3
"""Where pairs of one old vector differ, weights are up to its inverse, and cancel in float32."""
_ROWS = 2_048
_JITTER = 1e-4
"""Keeps the normal equations solvable where two landmarks are the same vector."""

_CORRECTION_PENALTIES = (0.01, 0.03, 0.1, 0.3, 1.0, 3.0, 10.0)
_WORTH_CORRECTING = 0.95
"""Of the squared error, what a correction must leave at most."""
_JUDGED_ON = 1_000
_LEAST_AGREEMENT = 0.1
"""Of a map's directions with the new model's, lest what it misses grow without bound."""

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
    """Kernel ridge of ``new - skip(old)`` on the old vectors, half whitened.

    With all n pairs as landmarks, ``W = (K + penalty n I)^-1 R``, K ``(n, n)`` and R
    ``(n, d_new)``, and a nugget gives those pairs back as they are. With some of them (Nystroem;
    Williams & Seeger, NIPS 2000), ``W = (K_nm^T K_nm + penalty n K_mm)^-1 K_nm^T R`` has the least
    penalised squared error over all pairs.

    Distances of old vectors are mostly those along their few widest directions. Multiplied about
    their mean by ``C^(-1/4)``, C their covariance, all count more alike, and the fewer pairs, the
    less: to C is added ``d / n`` times its mean eigenvalue.

    Args:
        old: ``(n, d_old)``. new: ``(n, d_new)``. skip: old to new.
        landmarks: ``(m,)`` rows; None for all.
        gamma: of the kernel. penalty: relative to the number of pairs.
    """
    strength = max(penalty * len(old), _LEAST_STRENGTH)
    inputs = _half_whitened(old)
    # Rounded as they are kept, so that a pair's own vector is its landmark again. Some rows at a
    # time, since in float64 all would take several times the memory of what is given.
    z, residuals = np.empty_like(old, np.float32), np.empty_like(new, np.float32)
    for start in range(0, len(old), _ROWS):
        part = slice(start, start + _ROWS)
        z[part] = unit_inputs(inputs, old[part].astype(np.float64))
        residuals[part] = new[part] - skip(old[part])
    if landmarks is None:
        weight = _full(z, residuals.astype(np.float64), gamma, strength).astype(np.float32)
        return Kernel(z, weight, gamma, nugget=strength, inputs=inputs)
    chosen = z[landmarks]
    weight = _nystroem(z, residuals, chosen, gamma, strength).astype(np.float32)
    return Kernel(chosen, weight, gamma, inputs=inputs)


def correcting_kernel(old: FloatArray, new: FloatArray, base: Transform) -> Kernel | None:
    """Kernel ridge of what a map misses on items that it was not fitted on; None if it is little.

    Kinds of items that a map never saw it gets wrong in one way, which a few of each show. What it
    misses is ``new - c base(old)``, c their mean inner product: a map that is unsure of all items
    alike is right in its directions, and only too long. The penalty is the one with the least
    error on items left out one at a time (of kernel ridge that is ``a_i / (K + p I)^-1_ii``; Rifkin
    & Lippert, *Notes on Regularized Least Squares*, 2007), which are the gallery's own. Where they
    are like the pairs, that error is not below the map's own, and nothing is corrected.

    Args:
        old: ``(n, d_old)``, in random order. new: ``(n, d_new)``, unit rows.
        base: old to new. If it has a kernel map of its own, the items become further landmarks.
    """
    raw = base.raw(old).astype(np.float64)
    lengths = np.sqrt((raw * raw).sum(axis=1, keepdims=True))
    agreement = float((new * raw / np.maximum(lengths, _JITTER)).sum(axis=1).mean())
    # Upon the image before it is scaled to unit length.
    residuals = lengths * new / max(agreement, _LEAST_AGREEMENT) - raw
    own = base.kernel
    inputs, gamma = (_half_whitened(old), _GAMMA) if own is None else (own.inputs, own.gamma)
    z = old if inputs is None else unit_inputs(inputs, old.astype(np.float64)).astype(np.float32)
    penalty = _least_error_left_out(z[:_JUDGED_ON], residuals[:_JUDGED_ON], gamma)
    if penalty is None:
        return None
    weight = _full(z, residuals, gamma, penalty).astype(np.float32)
    return Kernel(z, weight, gamma, inputs=inputs) if own is None else own.joined(z, weight)


def _least_error_left_out(z: FloatArray, residuals: _Float64, gamma: float) -> float | None:
    """The penalty that predicts items left out best; None if all predict little."""
    values, vectors = np.linalg.eigh(_similarities(z, z, gamma))
    turned, squares = vectors.T @ residuals, vectors * vectors
    errors = {}
    for penalty in _CORRECTION_PENALTIES:
        inverse = 1.0 / (np.maximum(values, 0.0) + penalty)
        left_out = (vectors @ (inverse[:, None] * turned)) / (squares @ inverse)[:, None]
        errors[penalty] = float((left_out * left_out).sum())
    best = min(errors, key=lambda penalty: errors[penalty])
    return best if errors[best] < _WORTH_CORRECTING * (residuals * residuals).sum() else None


def _half_whitened(old: FloatArray) -> Affine:
    rows = old.astype(np.float64)
    mean = rows.mean(axis=0)
    covariance = (rows.T @ rows) / len(rows) - np.outer(mean, mean)
    values, directions = np.linalg.eigh(covariance)
    values = np.maximum(values, 0.0) + len(values) / len(rows) * max(values.mean(), _JITTER**2)
    # Of about unit scale; it is scaled to unit length anyway.
    weight = directions * (values / values.max()) ** -0.25 @ directions.T
    return Affine(weight.astype(np.float32), (-mean @ weight).astype(np.float32))


def _full(z: FloatArray, residuals: _Float64, gamma: float, strength: float) -> _Float64:
    similar = _similarities(z, z, gamma)
    similar[np.diag_indices_from(similar)] += strength
    return np.asarray(np.linalg.solve(similar, residuals), dtype=np.float64)


def _nystroem(
    z: FloatArray, residuals: FloatArray, landmarks: FloatArray, gamma: float, strength: float
) -> _Float64:
    normal = _similarities(landmarks, landmarks, gamma)
    normal[np.diag_indices_from(normal)] += _JITTER
    normal *= strength
    wanted = np.zeros((len(landmarks), residuals.shape[1]))
    for start in range(0, len(z), _ROWS):
        part = slice(start, start + _ROWS)
        similar = _similarities(z[part], landmarks, gamma)
        # In blocks, and those above the diagonal alone: the product as a whole is another matrix
        # as large as the sum.
        for first in range(0, len(landmarks), _ROWS):
            block = similar[:, first : first + _ROWS]
            normal[first : first + _ROWS, first:] += block.T @ similar[:, first:]
        wanted += similar.T @ residuals[part].astype(np.float64)
    for first in range(_ROWS, len(landmarks), _ROWS):
        normal[first : first + _ROWS, :first] = normal[:first, first : first + _ROWS].T
    return np.asarray(np.linalg.solve(normal, wanted), dtype=np.float64)


def _similarities(x: FloatArray, landmarks: FloatArray, gamma: float) -> _Float64:
    similar: _Float64 = x.astype(np.float64) @ landmarks.T.astype(np.float64)
    similar -= 1.0
    similar *= gamma
    return np.exp(similar, out=similar)
