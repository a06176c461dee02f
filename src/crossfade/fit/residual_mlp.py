"""Drift-Adapter's residual MLP: a rotation plus what an MLP can add to it."""

from __future__ import annotations

import torch

from crossfade.embeddings import Pairs
from crossfade.fit.moments import pair_moments
from crossfade.fit.networks import MapNetwork
from crossfade.fit.procrustes import rotation
from crossfade.fit.settings import FitSettings, ProgressCallback
from crossfade.fit.systems import Batch, TwoSystems
from crossfade.fit.trained import TrainedMethod, fit_trained
from crossfade.upgrade import Side, Upgrade

__all__ = ["fit_residual_mlp", "squared_error"]


def fit_residual_mlp(
    pairs: Pairs, settings: FitSettings, progress: ProgressCallback | None = None
) -> Upgrade:
    """psi(n) = n R + MLP(n), ``L = mean_i ||n_i R + MLP(n_i) - o_i||^2``.

    Vejendla, *Drift-Adapter: A Practical Approach to Near Zero-Downtime Embedding Model
    Upgrades in Vector Databases*, EMNLP 2025 (arXiv 2509.23471): three adapters for queries,
    new to old, by squared error: a rotation (our ``procrustes``), a low-rank affine map
    (``low_rank``) and this one. Differences: the paper's skip is the identity, which needs
    equal widths, ours is the rotation; batch normalisation and ReLU for GELU; no diagonal
    scaling of the output, which the MLP's last layer can learn.
    """

    def build() -> TwoSystems:
        skip = rotation(pair_moments(pairs, forward=False))
        return TwoSystems(
            Side.QUERY, MapNetwork(pairs.target.dim, pairs.source.dim, settings.hidden, skip)
        )

    def objective(systems: TwoSystems, batch: Batch, _: torch.Generator) -> torch.Tensor:
        return squared_error(systems.map.raw(batch.new), batch.old).mean()

    return fit_trained(TrainedMethod("residual_mlp", build, objective), pairs, settings, progress)


def squared_error(mapped: torch.Tensor, target: torch.Tensor) -> torch.Tensor:
    """``||mapped_i - target_i||^2`` of rows ``(b, d)``; ``(b,)``."""
    return ((mapped - target) ** 2).sum(dim=1)
