"""A near-orthogonal head towards the old space, and a forward map of the items onto it."""

from __future__ import annotations

import math

import numpy as np
import torch
from torch import Tensor
from torch.nn.functional import log_softmax, normalize, softplus

from crossfade.embeddings import FloatArray, Pairs
from crossfade.fit.forward_mlp import forward_network
from crossfade.fit.losses import rqt_loss
from crossfade.fit.moments import pair_moments
from crossfade.fit.networks import MapNetwork
from crossfade.fit.settings import FitSettings, ProgressCallback
from crossfade.fit.systems import Batch, TwoSystems
from crossfade.fit.trained import TrainedMethod, fit_trained
from crossfade.upgrade import Side, Upgrade

__all__ = ["fit_near_orthogonal", "near_orthogonality_loss", "supervised_contrastive_loss"]

# lambda, a Frobenius norm, for each square root of a dimension.
_TOLERANCE = 0.1
_SHARPNESS = 10.0
_NEVER = -1e9


def fit_near_orthogonal(
    pairs: Pairs, settings: FitSettings, progress: ProgressCallback | None = None
) -> Upgrade:
    """rho(n) = n W + b, kept near a rotation; f(o) maps stored items onto rho(n).

    Ricci et al., *lambda-Orthogonality Regularization for Compatible Representation Learning*,
    NeurIPS 2025 (arXiv 2509.16664): ``L = L_B + L_F + L_orth + L_supcon`` with
    ``L_B = mean(1 - cos(rho(n)_i, o_i))``, ``L_F = mean(1 - cos(f(o_i), rho(n_i)))``,
    :func:`near_orthogonality_loss` of W and, with labels, :func:`supervised_contrastive_loss`
    over all rho(n) and f(o) of a batch. rho(n) is what gets backfilled. Differences: the terms
    weigh the same and lambda grows with the width, since the paper's values are not known
    here; f starts as the ridge; W starts as the best rotation. With unequal widths L_B
    compares the first min(d_old, d_new) coordinates of rho(n) with o, or, where the old space
    is the wider one, with o on its leading principal directions.
    """
    anchors, start = _anchors_and_start(pairs)

    def build() -> TwoSystems:
        rho = MapNetwork(pairs.target.dim, pairs.target.dim, ())
        forward = forward_network(pairs, settings)
        assert forward.affine is not None
        with torch.no_grad():
            rho.last.weight.copy_(start.T)
            rho.last.bias.zero_()
            # The ridge, turned as rho turns.
            forward.affine.weight.copy_(start.T @ forward.affine.weight)
            forward.affine.bias.copy_(forward.affine.bias @ start)
        return TwoSystems(Side.ITEMS, forward, rho)

    def objective(systems: TwoSystems, batch: Batch, _: torch.Generator) -> Tensor:
        assert systems.rho is not None
        new, mapped = systems.rho(batch.new), systems.map(batch.old)
        backward = rqt_loss(
            normalize(new[:, : anchors.shape[1]], dim=1), normalize(batch.old @ anchors, dim=1)
        )
        # f follows rho; rho must not come towards f.
        forward = rqt_loss(mapped, new.detach())
        loss = backward + forward + near_orthogonality_loss(systems.rho.last.weight)
        if batch.labels is not None:
            both, labels = torch.cat([new, mapped]), batch.labels.repeat(2)
            loss = loss + supervised_contrastive_loss(both, labels, settings.temperature)
        return loss

    method = TrainedMethod("near_orthogonal", build, objective)
    return fit_trained(method, pairs, settings, progress)


def near_orthogonality_loss(weight: Tensor, tolerance: float = _TOLERANCE) -> Tensor:
    """``softplus(k (||W^T W - I||_F - lambda)) / k``: free up to lambda, then linear.

    Args:
        weight: ``(d, d)``. tolerance: ``lambda / sqrt(d)``; ``k = 10 / lambda`` is ours.
    """
    d = len(weight)
    threshold = tolerance * math.sqrt(d)
    departure = torch.linalg.matrix_norm(weight.T @ weight - torch.eye(d), ord="fro")
    sharpness = _SHARPNESS / threshold
    return softplus(sharpness * (departure - threshold)) / sharpness


def supervised_contrastive_loss(rows: Tensor, labels: Tensor, temperature: float) -> Tensor:
    """``- mean_i mean_{p in P(i)} log softmax_{a != i}(<z_i, z_a> / tau)_p`` (Khosla et al., 2020).

    Args:
        rows: ``(b, d)`` unit rows. labels: ``(b,)``; rows alone in their class have no term.
    """
    itself = torch.eye(len(rows), dtype=torch.bool)
    positive = (labels[:, None] == labels[None, :]) & ~itself
    log_share = log_softmax((rows @ rows.T / temperature).masked_fill(itself, _NEVER), dim=1)
    count = positive.sum(dim=1)
    cost = -(log_share * positive).sum(dim=1) / count.clamp(min=1)
    return cost.sum() / (count > 0).sum().clamp(min=1)


def _anchors_and_start(pairs: Pairs) -> tuple[Tensor, Tensor]:
    """Projection of the old space ``(d_old, m)`` and the first W ``(d_new, d_new)``.

    W's first m columns are the best rotation onto the projected old vectors, the others
    complete it to an orthonormal matrix: new scores start as they are.
    """
    moments = pair_moments(pairs, forward=False)
    m = min(pairs.source.dim, pairs.target.dim)
    anchors = np.eye(pairs.source.dim)
    if m < pairs.source.dim:
        old = pair_moments(pairs, forward=True)
        raw = old.xx + old.n * np.outer(old.mean_x, old.mean_x)
        anchors = np.linalg.eigh(raw)[1][:, ::-1][:, :m]
    products = (moments.xy + moments.n * np.outer(moments.mean_x, moments.mean_y)) @ anchors
    left, _, right = np.linalg.svd(products, full_matrices=True)
    start = np.hstack([left[:, :m] @ right, left[:, m:]])
    return _tensor(anchors), _tensor(start)


def _tensor(matrix: np.ndarray[tuple[int, ...], np.dtype[np.float64]]) -> Tensor:
    contiguous: FloatArray = np.ascontiguousarray(matrix, dtype=np.float32)
    return torch.from_numpy(contiguous)
