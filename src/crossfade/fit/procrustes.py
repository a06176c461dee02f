"""Orthogonal Procrustes: the best rotation from the new space to the old one."""

from __future__ import annotations

import numpy as np

from crossfade.embeddings import Pairs
from crossfade.fit.moments import Moments, pair_moments
from crossfade.fit.reference import two_encoder_reference
from crossfade.fit.settings import FitSettings, ProgressCallback
from crossfade.upgrade import Affine, Side, Transform, Upgrade

__all__ = ["centred_rotation", "fit_procrustes", "fit_procrustes_centred", "rotation"]


def fit_procrustes(
    pairs: Pairs, settings: FitSettings, progress: ProgressCallback | None = None
) -> Upgrade:
    """psi(n) = n R with ``R = argmin ||N R - O||, R orthonormal``.

    Schönemann, *A generalized solution of the orthogonal Procrustes problem*, Psychometrika
    1966: ``R = U V^T`` of the SVD ``N^T O = U S V^T``, not centred, so that inner products in
    the new space are kept. With unequal widths R has orthonormal rows or columns.
    """
    turn = rotation(pair_moments(pairs, forward=False))
    return _upgrade("procrustes", pairs, settings, turn)


def fit_procrustes_centred(
    pairs: Pairs, settings: FitSettings, progress: ProgressCallback | None = None
) -> Upgrade:
    """psi(n) = (n - mean(N)) R + mean(O), R from the centred pairs.

    Schönemann & Carroll, *Fitting one matrix to another under choice of a central dilation and
    a rigid motion*, Psychometrika 1970, without the dilation, which unit length undoes.
    Embeddings often lie in a cone: without centring, the rotation spends itself on turning one
    cone's axis onto the other's.
    """
    turn = centred_rotation(pair_moments(pairs, forward=False))
    return _upgrade("procrustes_centred", pairs, settings, turn)


def rotation(moments: Moments) -> Affine:
    """The rotation from x to y of the least squared error, not centred, ``(d_x, d_y)``."""
    raw = moments.xy + moments.n * np.outer(moments.mean_x, moments.mean_y)
    left, _, right = np.linalg.svd(raw, full_matrices=False)
    return Affine((left @ right).astype(np.float32), np.zeros(raw.shape[1], dtype=np.float32))


def centred_rotation(moments: Moments) -> Affine:
    """The rotation about the means of x and y of the least squared error, ``(d_x, d_y)``."""
    left, _, right = np.linalg.svd(moments.xy, full_matrices=False)
    turn = left @ right
    shift = moments.mean_y - moments.mean_x @ turn
    return Affine(turn.astype(np.float32), shift.astype(np.float32))


def _upgrade(method: str, pairs: Pairs, settings: FitSettings, affine: Affine) -> Upgrade:
    return Upgrade(
        method=method,
        source=pairs.source,
        target=pairs.target,
        side=Side.QUERY,
        psi=Transform(affine),
        two_encoder=two_encoder_reference(pairs, settings),
    )
