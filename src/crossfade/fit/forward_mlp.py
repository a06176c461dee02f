"""Nonlinear forward map: forward ridge plus an MLP, fitted by cosine."""

from __future__ import annotations

import torch

from crossfade.embeddings import Pairs
from crossfade.fit.losses import rqt_loss
from crossfade.fit.moments import pair_moments
from crossfade.fit.networks import MapNetwork
from crossfade.fit.refitting import corrected_later
from crossfade.fit.settings import FitSettings, ProgressCallback
from crossfade.fit.systems import Batch, TwoSystems
from crossfade.fit.trained import TrainedMethod, fit_trained
from crossfade.upgrade import Side, Upgrade, ridge_map

__all__ = ["fit_forward_mlp", "fit_refitted_mlp", "forward_network"]

_WIDE, _NARROW = 2_048, 512
_MANY_PAIRS = 20_000


def fit_forward_mlp(
    pairs: Pairs, settings: FitSettings, progress: ProgressCallback | None = None
) -> Upgrade:
    """``f(o) = ridge(o) + MLP(o)``, scaled to unit length; ``L = mean_i (1 - <f(o_i), n_i>)``.

    The reverse query transform's loss with the roles of the spaces exchanged (ours). A wide
    hidden layer pays where the new model knows much that the old one does not.
    """
    return _fitted("forward_mlp", pairs, settings, progress)


def fit_refitted_mlp(
    pairs: Pairs, settings: FitSettings, progress: ProgressCallback | None = None
) -> Upgrade:
    """:func:`fit_forward_mlp`, corrected on backfilled items (ours).

    Kinds of items that the network never saw it maps wrongly in one way, which a few of each
    show: a kernel map of what it misses is added, see
    :func:`crossfade.upgrade.kernel_maps.correcting_kernel`.
    """
    return corrected_later(_fitted("refitted_mlp", pairs, settings, progress), pairs)


def _fitted(
    name: str, pairs: Pairs, settings: FitSettings, progress: ProgressCallback | None
) -> Upgrade:
    def build() -> TwoSystems:
        return TwoSystems(Side.ITEMS, forward_network(pairs, settings))

    def objective(systems: TwoSystems, batch: Batch, _: torch.Generator) -> torch.Tensor:
        return rqt_loss(systems.map(batch.old), batch.new)

    return fit_trained(TrainedMethod(name, build, objective), pairs, settings, progress)


def forward_network(pairs: Pairs, settings: FitSettings) -> MapNetwork:
    """Forward ridge of these pairs plus an MLP that starts at zero."""
    ridge = ridge_map(pair_moments(pairs, forward=True), settings.ridge_penalty)
    hidden = settings.forward_hidden
    if hidden is None:
        hidden = (_WIDE,) if len(pairs) >= _MANY_PAIRS else (_NARROW,)
    return MapNetwork(pairs.source.dim, pairs.target.dim, hidden, skip=ridge)
