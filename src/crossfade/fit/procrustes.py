"""Orthogonal Procrustes: the best rotation from the new space to the old one."""

from __future__ import annotations

import numpy as np

from crossfade.embeddings import Pairs
from crossfade.fit.moments import Moments, pair_moments
from crossfade.fit.reference import two_encoder_reference
from crossfade.fit.settings import FitSettings, ProgressCallback
from crossfade.upgrade import Affine, Side, Transform, Upgrade

__all__ = ["fit_procrustes"]


def fit_procrustes(
    pairs: Pairs, settings: FitSettings, progress: ProgressCallback | None = None
) -> Upgrade:
    """psi(n) = n R with ``R = argmin ||N R - O||, R orthonormal``.

    Schönemann, *A generalized solution of the orthogonal Procrustes problem*, Psychometrika
    1966: ``R = U V^T`` of the SVD ``N^T O = U S V^T``, not centred, so that inner products in
    the new space are kept. With unequal widths R has orthonormal rows or columns.
    """
    moments = pair_moments(pairs, forward=False)
    left, _, right = np.linalg.svd(_raw_products(moments), full_matrices=False)
    rotation = (left @ right).astype(np.float32)
    bias = np.zeros(rotation.shape[1], dtype=np.float32)
    return Upgrade(
        method="procrustes",
        source=pairs.source,
        target=pairs.target,
        side=Side.QUERY,
        psi=Transform(Affine(rotation, bias)),
        two_encoder=two_encoder_reference(pairs, settings),
    )


def _raw_products(moments: Moments) -> np.ndarray[tuple[int, ...], np.dtype[np.float64]]:
    return moments.xy + moments.n * np.outer(moments.mean_x, moments.mean_y)
