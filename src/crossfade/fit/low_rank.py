"""Reduced-rank ridge: a linear map from the new space to the old one through few dimensions."""

from __future__ import annotations

import numpy as np

from crossfade.embeddings import Pairs
from crossfade.fit.moments import Moments, pair_moments
from crossfade.fit.reference import two_encoder_reference
from crossfade.fit.settings import FitSettings, ProgressCallback
from crossfade.upgrade import Affine, Side, Transform, Upgrade, ridge_map

__all__ = ["fit_low_rank", "reduced_rank_map"]

_MOST_RANK = 64


def fit_low_rank(
    pairs: Pairs, settings: FitSettings, progress: ProgressCallback | None = None
) -> Upgrade:
    """psi(n) = (n A) B^T + c with A ``(d_new, r)``, B ``(d_old, r)``: ridge of rank r.

    Izenman, *Reduced-rank regression for the multivariate linear model*, 1975, with the ridge
    penalty of Mukherjee & Zhu, *Reduced rank ridge regression*, 2011: among all maps of rank r
    the one with the least penalised squared error. As a bridge between embedding models it is
    the low-rank affine adapter of Drift-Adapter (EMNLP 2025), which finds A and B by gradient
    descent; here they are exact.
    """
    rank = settings.rank or max(1, min(_MOST_RANK, pairs.source.dim // 4, pairs.target.dim // 4))
    affine = reduced_rank_map(pair_moments(pairs, forward=False), rank, settings.ridge_penalty)
    return Upgrade(
        method="low_rank",
        source=pairs.source,
        target=pairs.target,
        side=Side.QUERY,
        psi=Transform(affine),
        two_encoder=two_encoder_reference(pairs, settings),
    )


def reduced_rank_map(moments: Moments, rank: int, penalty: float | None = None) -> Affine:
    """``W_r = W V_r V_r^T``, V_r the leading eigenvectors of ``W^T X^T Y``.

    W is the ridge map. With the penalty as extra rows of X, ``W^T X^T Y`` is the second moment
    of the fitted values, and projecting onto its leading directions is the best rank r
    [Mukherjee2011]. A rank of ``min(d_x, d_y)`` or more is the ridge itself.
    """
    weight = ridge_map(moments, penalty).weight.astype(np.float64)
    fitted = weight.T @ moments.xy
    _, directions = np.linalg.eigh((fitted + fitted.T) / 2)
    leading = directions[:, ::-1][:, :rank]
    reduced = weight @ leading @ leading.T
    bias = moments.mean_y - moments.mean_x @ reduced
    return Affine(reduced.astype(np.float32), bias.astype(np.float32))
