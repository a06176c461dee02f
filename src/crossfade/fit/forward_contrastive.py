"""Contrastive learning on the items' side: forward map and rho, both held near the new model."""

from __future__ import annotations

import torch
from torch import Tensor

from crossfade.embeddings import Pairs
from crossfade.fit.contrastive import require_classes
from crossfade.fit.forward_mlp import forward_network
from crossfade.fit.losses import contrastive_loss, rqt_loss
from crossfade.fit.networks import MapNetwork
from crossfade.fit.refitting import corrected_later
from crossfade.fit.settings import FitSettings, ProgressCallback
from crossfade.fit.systems import Batch, TwoSystems
from crossfade.fit.trained import TrainedMethod, fit_trained
from crossfade.upgrade import Side, Upgrade

__all__ = ["fit_forward_contrastive", "fit_refitted_contrastive"]

# Weights of the two cosine terms. Labels pull all items of a class together, and what they pull
# wrongly, items of classes never seen, nothing but these pulls back (docs/experiments.md).
_KEEP, _MEET = 100.0, 20.0


def fit_forward_contrastive(
    pairs: Pairs, settings: FitSettings, progress: ProgressCallback | None = None
) -> Upgrade:
    """f(o) maps stored items onto rho(n), trained with labels (ours).

    ``L = L_con + 100 mean(1 - <rho(n_i), n_i>) + 20 mean(1 - <f(o_i), rho(n_i)>)``: the paper's
    metric-compatible loss (Seo et al., WACV 2025, arXiv 2301.03767; see
    :func:`crossfade.fit.losses.contrastive_loss`) with a forward map where the paper has psi, so
    that both systems score in one space, that of rho. The second term keeps rho near the
    identity: class labels say nothing of single items, nor of classes that they don't name.
    f starts as the ridge, rho as the identity; rho(n) is what gets backfilled.

    Raises:
        InvalidInput: the pairs have no labels, or only one class.
    """
    return _fitted("forward_contrastive", pairs, settings, progress)


def fit_refitted_contrastive(
    pairs: Pairs, settings: FitSettings, progress: ProgressCallback | None = None
) -> Upgrade:
    """:func:`fit_forward_contrastive`, its forward map corrected on backfilled items (ours).

    As :func:`crossfade.fit.forward_mlp.fit_refitted_mlp` is; what is learnt is ``rho(n)``.

    Raises:
        InvalidInput: the pairs have no labels, or only one class.
    """
    return corrected_later(_fitted("refitted_contrastive", pairs, settings, progress), pairs)


def _fitted(
    name: str, pairs: Pairs, settings: FitSettings, progress: ProgressCallback | None
) -> Upgrade:
    require_classes(pairs, name)

    def build() -> TwoSystems:
        dim = pairs.target.dim
        rho = MapNetwork(dim, dim, settings.rho_hidden, skip=True)
        return TwoSystems(Side.ITEMS, forward_network(pairs, settings), rho)

    def objective(systems: TwoSystems, batch: Batch, _: torch.Generator) -> Tensor:
        assert systems.rho is not None and batch.labels is not None
        stored, mapped = systems.rho(batch.new), systems.map(batch.old)
        contrast = contrastive_loss(
            stored @ stored.T, stored @ mapped.T, batch.labels, settings.temperature
        )
        return contrast + _KEEP * rqt_loss(stored, batch.new) + _MEET * rqt_loss(mapped, stored)

    return fit_trained(TrainedMethod(name, build, objective), pairs, settings, progress)
