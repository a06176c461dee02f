"""FastFill: a forward map that also says how unsure it is, and backfills the unsure first."""

from __future__ import annotations

import torch
from torch import Tensor
from torch.nn.functional import cross_entropy

from crossfade.embeddings import Pairs
from crossfade.fit.class_means import new_class_means
from crossfade.fit.fct import fct_network
from crossfade.fit.networks import MapNetwork
from crossfade.fit.residual_mlp import squared_error
from crossfade.fit.settings import FitSettings, ProgressCallback
from crossfade.fit.systems import Batch, TwoSystems
from crossfade.fit.trained import TrainedMethod, fit_trained
from crossfade.upgrade import Side, Upgrade

__all__ = ["classification_cost", "fastfill_loss", "fit_fastfill"]

_UNCERTAINTY_HIDDEN = 256


def fit_fastfill(
    pairs: Pairs, settings: FitSettings, progress: ProgressCallback | None = None
) -> Upgrade:
    """``h(o) = (feature, s)``; :func:`fastfill_loss`; items of high s are backfilled first.

    Jaeckle et al., *FastFill: Efficient Compatible Model Update*, ICLR 2023
    (arXiv 2303.04766). The order is ``"uncertainty"`` in :mod:`crossfade.orders`.
    With labels, the loss has the cross-entropy of the mapped item through the new model's
    classifier, without them the squared error alone. Differences: the new model's classifier
    is seldom at hand, so its class means stand in for it, over ``temperature``; s has a hidden
    layer of its own instead of sharing the map's; no side information here (see ``fct``).
    """
    classifier = None if pairs.labels is None else torch.from_numpy(new_class_means(pairs))

    def build() -> TwoSystems:
        hidden = settings.forward_hidden or (_UNCERTAINTY_HIDDEN,)
        uncertainty = MapNetwork(pairs.source.dim, 1, hidden)
        # It starts without an opinion: s = 0 for all, which is the plain loss.
        torch.nn.init.zeros_(uncertainty.last.weight)
        torch.nn.init.zeros_(uncertainty.last.bias)
        return TwoSystems(Side.ITEMS, fct_network(pairs, settings), uncertainty=uncertainty)

    def objective(systems: TwoSystems, batch: Batch, _: torch.Generator) -> Tensor:
        assert systems.uncertainty is not None
        mapped = systems.map.raw(batch.old)
        cost = squared_error(mapped, batch.new)
        if classifier is not None and batch.labels is not None:
            cost = cost + classification_cost(
                mapped, classifier, batch.labels, settings.temperature
            )
        return fastfill_loss(cost, systems.uncertainty.raw(batch.old)[:, 0])

    return fit_trained(TrainedMethod("fastfill", build, objective), pairs, settings, progress)


def fastfill_loss(cost: Tensor, uncertainty: Tensor) -> Tensor:
    """``mean_i (e^{-s_i} c_i / 2 + s_i / 2)`` [Jaeckle2023]; the best s_i is ``log c_i``.

    Args:
        cost: ``(b,)`` squared error, plus cross-entropy where there are labels.
        uncertainty: ``(b,)`` s.
    """
    return (0.5 * torch.exp(-uncertainty) * cost + 0.5 * uncertainty).mean()


def classification_cost(
    mapped: Tensor, classifier: Tensor, labels: Tensor, temperature: float
) -> Tensor:
    """Cross-entropy ``(b,)`` of rows ``(b, d_new)`` by a frozen ``(classes, d_new)``."""
    return cross_entropy(mapped @ classifier.T / temperature, labels, reduction="none")
