"""Metric-compatible distillation: the mixed list learns the new model's ranking, no labels."""

from __future__ import annotations

import torch

from crossfade.embeddings import Pairs
from crossfade.fit.forward_mlp import forward_network
from crossfade.fit.losses import distillation_loss
from crossfade.fit.networks import MapNetwork, ScoreScaleAndOffset
from crossfade.fit.settings import FitSettings, ProgressCallback
from crossfade.fit.systems import Batch, TwoSystems
from crossfade.fit.trained import TrainedMethod, fit_trained
from crossfade.fit.training import Objective
from crossfade.upgrade import Side, Upgrade

__all__ = ["fit_distillation", "fit_forward_distillation"]


def fit_distillation(
    pairs: Pairs, settings: FitSettings, progress: ProgressCallback | None = None
) -> Upgrade:
    """psi and a score scale, trained on mixed lists under random backfill states (ours).

    Each query draws a coverage c ~ U(0, 1) and a state m_j ~ Bernoulli(c) of its own; the
    student is the mixed list, the teacher the new model's ranking, see
    :func:`crossfade.fit.losses.distillation_loss`.
    """

    def build() -> TwoSystems:
        psi = MapNetwork(pairs.target.dim, pairs.source.dim, settings.hidden)
        return TwoSystems(Side.QUERY, psi, scale=ScoreScaleAndOffset())

    method = TrainedMethod("distillation", build, _objective(settings))
    return fit_trained(method, pairs, settings, progress)


def fit_forward_distillation(
    pairs: Pairs, settings: FitSettings, progress: ProgressCallback | None = None
) -> Upgrade:
    """The same loss for a map on the items' side: forward ridge plus an MLP (ours).

    The forward map starts as the ridge and learns what is left, so that the mapped item
    ranks among real new embeddings as its own real embedding would.
    """

    def build() -> TwoSystems:
        forward = forward_network(pairs, settings)
        return TwoSystems(Side.ITEMS, forward, scale=ScoreScaleAndOffset())

    method = TrainedMethod("forward_distillation", build, _objective(settings))
    return fit_trained(method, pairs, settings, progress)


def _objective(settings: FitSettings) -> Objective:
    def objective(systems: TwoSystems, batch: Batch, generator: torch.Generator) -> torch.Tensor:
        scores = systems.scores(batch)
        b = len(batch.new)
        coverage = torch.rand(b, 1, generator=generator)
        return distillation_loss(
            scores.new,
            scores.old,
            batch.new @ batch.new.T,
            torch.rand(b, b, generator=generator) < coverage,
            settings.temperature,
            settings.teacher_temperature,
        )

    return objective
