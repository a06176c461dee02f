"""From a method's network and loss to an upgrade: the part all trained methods share."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

import torch

from crossfade.embeddings import Pairs
from crossfade.fit.reference import two_encoder_reference
from crossfade.fit.settings import FitSettings, ProgressCallback
from crossfade.fit.systems import TwoSystems
from crossfade.fit.training import Objective, train
from crossfade.upgrade import Calibration, Side, Upgrade

__all__ = ["TrainedMethod", "fit_trained"]


@dataclass(frozen=True)
class TrainedMethod:
    """A method's name, its network (built after the seed is set), and its loss."""

    name: str
    build: Callable[[], TwoSystems]
    objective: Objective


def fit_trained(
    method: TrainedMethod,
    pairs: Pairs,
    settings: FitSettings,
    progress: ProgressCallback | None,
) -> Upgrade:
    """Train and export. The same pairs, settings and seed give the same weights."""
    # Weights are drawn from PyTorch's global state; the caller's own state is not disturbed.
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(settings.seed)
        systems = method.build()
        training = train(
            systems, pairs, method.objective, settings, method=method.name, progress=progress
        )
    exported = systems.map.export()
    return Upgrade(
        method=method.name,
        source=pairs.source,
        target=pairs.target,
        side=systems.side,
        psi=exported if systems.side is Side.QUERY else None,
        forward=exported if systems.side is Side.ITEMS else None,
        rho=None if systems.rho is None else systems.rho.export(),
        uncertainty=None if systems.uncertainty is None else systems.uncertainty.export(),
        calibration=Calibration() if systems.scale is None else systems.scale.export(),
        two_encoder=two_encoder_reference(pairs, settings),
        report={"training": training.describe()},
    )
