"""Reverse query transform: a small MLP psi from the new space to the old one."""

from __future__ import annotations

import torch

from crossfade.embeddings import Pairs
from crossfade.fit.losses import rqt_loss
from crossfade.fit.networks import MapNetwork
from crossfade.fit.settings import FitSettings, ProgressCallback
from crossfade.fit.systems import Batch, TwoSystems
from crossfade.fit.trained import TrainedMethod, fit_trained
from crossfade.upgrade import Side, Upgrade

__all__ = ["fit_rqt"]


def fit_rqt(
    pairs: Pairs, settings: FitSettings, progress: ProgressCallback | None = None
) -> Upgrade:
    """``L_RQT = mean_i (1 - <psi(n_i), o_i>)``, both encoders frozen, no labels.

    Seo et al., WACV 2025 (arXiv 2301.03767), section "Reverse query transform". Serving then
    needs one encoder pass: n searches the new side, psi(n) the old side. Nothing in the loss
    ties the two distances together; that is what the contrastive loss adds.
    """

    def build() -> TwoSystems:
        psi = MapNetwork(pairs.target.dim, pairs.source.dim, settings.hidden)
        return TwoSystems(Side.QUERY, psi)

    def objective(systems: TwoSystems, batch: Batch, _: torch.Generator) -> torch.Tensor:
        return rqt_loss(systems.map(batch.new), batch.old)

    return fit_trained(TrainedMethod("rqt", build, objective), pairs, settings, progress)
