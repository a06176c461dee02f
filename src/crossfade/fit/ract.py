"""The regression-alleviating compatible loss (RACT, "hot refresh"), for a map psi."""

from __future__ import annotations

import torch
from torch import Tensor

from crossfade.embeddings import Pairs
from crossfade.errors import InvalidInput
from crossfade.fit.contrastive import require_classes
from crossfade.fit.networks import MapNetwork
from crossfade.fit.settings import FitSettings, ProgressCallback
from crossfade.fit.systems import Batch, TwoSystems
from crossfade.fit.trained import TrainedMethod, fit_trained
from crossfade.upgrade import Side, Upgrade

__all__ = ["fit_ract", "ract_loss"]

_HARDEST = 64
_TEMPERATURE = 0.01
_NEVER = -1e9


def fit_ract(
    pairs: Pairs, settings: FitSettings, progress: ProgressCallback | None = None
) -> Upgrade:
    """psi trained so that no negative of either system passes a positive of the old side.

    Zhang et al., *Hot-Refresh Model Upgrades with Regression-Alleviating Compatible Training
    in Image Retrieval*, ICLR 2022 (arXiv 2201.09724); :func:`ract_loss`, temperature 0.01.
    Differences: the paper trains the new encoder with this loss beside its own, here both
    encoders are frozen and psi stands between them; the paper's uncertainty-ordered backfill
    is not part of it.

    Raises:
        InvalidInput: the pairs have no labels, or only one class.
    """
    require_classes(pairs, "ract")

    def build() -> TwoSystems:
        psi = MapNetwork(pairs.target.dim, pairs.source.dim, settings.hidden)
        return TwoSystems(Side.QUERY, psi)

    def objective(systems: TwoSystems, batch: Batch, _: torch.Generator) -> Tensor:
        if batch.labels is None:
            raise InvalidInput("ract needs labels")
        scores = systems.scores(batch)
        return ract_loss(scores.new, scores.old, batch.labels, _TEMPERATURE, _HARDEST)

    return fit_trained(TrainedMethod("ract", build, objective), pairs, settings, progress)


def ract_loss(
    new_scores: Tensor, old_scores: Tensor, labels: Tensor, temperature: float, hardest: int
) -> Tensor:
    """One softmax over new-to-old and new-to-new negatives [Zhang2022].

    ``- mean_i mean_{j in P(i)} log(e^{s^o_ij} / (e^{s^o_ij} + sum_{H^o} e^{s^o_ik} +
    sum_{H^n} e^{s^n_ik}))``, scores over the temperature. P(i) are the items of i's label, i
    too; H^o and H^n are i's ``hardest`` negatives, those of the highest scores, of either
    system: a negative that was backfilled must not pass a positive that was not.

    Args:
        new_scores, old_scores: ``(b, b)`` inner products. labels: ``(b,)`` integers.
    """
    same = labels[:, None] == labels[None, :]
    old_logits = old_scores / temperature
    negatives = [
        logits.masked_fill(same, _NEVER).topk(min(hardest, len(labels)), dim=1).values
        for logits in (old_logits, new_scores / temperature)
    ]
    log_z = torch.cat(negatives, dim=1).logsumexp(dim=1)
    cost = torch.nn.functional.softplus(log_z[:, None] - old_logits) * same
    return (cost.sum(dim=1) / same.sum(dim=1)).mean()
