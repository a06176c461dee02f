"""The trained scores are the scores that serving computes."""

from __future__ import annotations

import numpy as np
import pytest
import torch

from crossfade import Side, Space, Upgrade
from crossfade.embeddings import unit_rows
from crossfade.fit.networks import MapNetwork, ScoreScaleAndOffset
from crossfade.fit.systems import Batch, TwoSystems


def perturbed(network: MapNetwork, seed: int) -> MapNetwork:
    """Away from a last layer of zeros."""
    generator = torch.Generator().manual_seed(seed)
    with torch.no_grad():
        for weight in network.parameters():
            weight.add_(0.3 * torch.randn(weight.shape, generator=generator))
    return network


@pytest.mark.parametrize("side", [Side.QUERY, Side.ITEMS])
@pytest.mark.parametrize("with_rho", [True, False])
@pytest.mark.parametrize("with_scale", [True, False])
def test_training_and_serving_score_alike(side: Side, with_rho: bool, with_scale: bool) -> None:
    torch.manual_seed(0)
    rng = np.random.default_rng(0)
    old, new = unit_rows(rng.normal(size=(30, 5))), unit_rows(rng.normal(size=(30, 7)))
    dims = (7, 5) if side is Side.QUERY else (5, 7)
    mapping = perturbed(MapNetwork(*dims, (8,)), 1)
    rho = perturbed(MapNetwork(7, 7, (8,), skip=True), 2) if with_rho else None
    scale = ScoreScaleAndOffset() if with_scale else None
    if scale is not None:
        with torch.no_grad():
            scale.log_scale.fill_(-0.5)
            scale.offset.fill_(0.2)
    systems = TwoSystems(side, mapping, rho, scale).eval()
    batch = Batch(torch.from_numpy(old), torch.from_numpy(new), None)
    with torch.no_grad():
        trained = systems.scores(batch)
    upgrade = Upgrade(
        method="m",
        source=Space("old", 5),
        target=Space("new", 7),
        side=side,
        psi=mapping.export() if side is Side.QUERY else None,
        forward=mapping.export() if side is Side.ITEMS else None,
        rho=rho.export() if rho else None,
        **({"calibration": scale.export()} if scale else {}),
    )
    stored = upgrade.store_new(new)
    np.testing.assert_allclose(trained.new, stored @ stored.T, atol=1e-5)
    served = upgrade.old_side(new).scores(old, upgrade.map_items(old))
    np.testing.assert_allclose(trained.old, served, atol=1e-5)
