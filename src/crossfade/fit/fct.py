"""Forward Compatible Training's transformation: stored items into the new space by an MLP."""

from __future__ import annotations

import torch

from crossfade.embeddings import Pairs
from crossfade.fit.networks import MapNetwork
from crossfade.fit.residual_mlp import squared_error
from crossfade.fit.settings import FitSettings, ProgressCallback
from crossfade.fit.systems import Batch, TwoSystems
from crossfade.fit.trained import TrainedMethod, fit_trained
from crossfade.upgrade import Side, Upgrade

__all__ = ["fct_network", "fit_fct"]

_WIDE, _NARROW = 2_048, 512
_MANY_PAIRS = 20_000


def fit_fct(
    pairs: Pairs, settings: FitSettings, progress: ProgressCallback | None = None
) -> Upgrade:
    """``L = mean_i ||h(o_i) - n_i||^2``; h(o), scaled to unit length, is what is searched.

    Ramanujan et al., *Forward Compatible Training for Large-Scale Embedding Retrieval
    Systems*, CVPR 2022 (arXiv 2112.02805). The paper's h also takes side information, stored
    with every item in the day of the old model:
    :mod:`crossfade.baselines.side_information` gives it as a wider old vector, and h is then
    fitted by this same function. Differences: one branch takes both, where the paper projects
    either by two layers of its own first; and the mapped item is scaled to unit length.
    """

    def build() -> TwoSystems:
        return TwoSystems(Side.ITEMS, fct_network(pairs, settings))

    def objective(systems: TwoSystems, batch: Batch, _: torch.Generator) -> torch.Tensor:
        return squared_error(systems.map.raw(batch.old), batch.new).mean()

    return fit_trained(TrainedMethod("fct", build, objective), pairs, settings, progress)


def fct_network(pairs: Pairs, settings: FitSettings) -> MapNetwork:
    """h: two projecting layers, then two wide mixing layers (2,048, 512 for few pairs)."""
    wide = _WIDE if len(pairs) >= _MANY_PAIRS else _NARROW
    hidden = settings.forward_hidden
    if hidden is None:
        hidden = (2 * pairs.source.dim, 2 * pairs.target.dim, wide, wide)
    return MapNetwork(pairs.source.dim, pairs.target.dim, hidden)
