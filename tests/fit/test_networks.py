"""Networks export to the very same map in NumPy, whatever training has made of them."""

from __future__ import annotations

import itertools
from typing import Any

import numpy as np
import pytest
import torch

from crossfade.embeddings import unit_rows
from crossfade.fit.networks import MapNetwork, ScoreScaleAndOffset
from crossfade.upgrade import Affine

SKIPS = ("none", "identity", "affine")


def rows(n: int, dim: int, seed: int = 0) -> np.ndarray:
    return unit_rows(np.random.default_rng(seed).normal(size=(n, dim)))


def affine(dim_in: int, dim_out: int) -> Affine:
    rng = np.random.default_rng(1)
    return Affine(
        rng.normal(size=(dim_in, dim_out)).astype(np.float32),
        rng.normal(size=dim_out).astype(np.float32),
    )


def network_of(skip: str, dim_in: int, dim_out: int, hidden: tuple[int, ...]) -> MapNetwork:
    torch.manual_seed(0)
    given: Any = {"none": None, "identity": True, "affine": affine(dim_in, dim_out)}[skip]
    return MapNetwork(dim_in, dim_out, hidden, given)


def train(network: MapNetwork, dim_in: int, dim_out: int) -> None:
    """Some steps towards random targets: running means and variances are not 0 and 1 then."""
    optimiser = torch.optim.Adam([p for p in network.parameters() if p.requires_grad], lr=0.02)
    network.train()
    for step in range(25):
        x = torch.from_numpy(rows(32, dim_in, step))
        target = torch.from_numpy(rows(32, dim_out, step + 1000))
        optimiser.zero_grad()
        (1 - (network(x) * target).sum(dim=1)).mean().backward()
        optimiser.step()
    network.eval()


def output(network: MapNetwork, x: np.ndarray) -> np.ndarray:
    with torch.no_grad():
        return network(torch.from_numpy(x)).numpy()


@pytest.mark.parametrize(
    ("skip", "hidden", "dims"),
    [
        case
        for case in itertools.product(
            SKIPS, [(), (16,), (16, 12), (64, 8, 32)], [(8, 8), (6, 20), (20, 6), (1, 3)]
        )
        if case[0] != "identity" or case[2][0] == case[2][1]
    ],
)
def test_numpy_computes_what_pytorch_does(
    skip: str, hidden: tuple[int, ...], dims: tuple[int, int]
) -> None:
    network = network_of(skip, *dims, hidden)
    before = network.eval().export()
    x = rows(200, dims[0], 5)
    np.testing.assert_allclose(before(x), output(network, x), atol=1e-5)
    train(network, *dims)
    after = network.export()
    np.testing.assert_allclose(after(x), output(network, x), atol=1e-5)
    assert after.fingerprint != before.fingerprint
    if hidden:
        statistics = network.blocks[0][1]  # type: ignore[index]
        assert statistics.running_mean.abs().max() > 1e-3
        assert (statistics.running_var - 1).abs().max() > 1e-3


def test_the_wide_network_of_real_use_agrees_too() -> None:
    network = network_of("affine", 384, 768, (512,))
    train(network, 384, 768)
    x = rows(300, 384)
    np.testing.assert_allclose(network.export()(x), output(network, x), atol=1e-5)


@pytest.mark.parametrize("skip", ["identity", "affine"])
def test_with_a_skip_training_starts_from_the_skip_alone(skip: str) -> None:
    network = network_of(skip, 8, 8, (16,)).eval()
    x = rows(20, 8)
    wanted = x if skip == "identity" else unit_rows(affine(8, 8)(x))
    np.testing.assert_allclose(output(network, x), wanted, atol=1e-5)


def test_a_frozen_skip_is_not_trained() -> None:
    network = network_of("affine", 6, 9, (8,))
    train(network, 6, 9)
    skip = network.export().skip
    assert isinstance(skip, Affine)
    np.testing.assert_array_equal(skip.weight, affine(6, 9).weight)
    np.testing.assert_array_equal(skip.bias, affine(6, 9).bias)


def test_the_export_does_not_change_with_the_network() -> None:
    network = network_of("none", 6, 6, ()).eval()
    exported = network.export()
    before = exported(rows(5, 6))
    with torch.no_grad():
        for weight in network.parameters():
            weight.zero_()
    np.testing.assert_array_equal(exported(rows(5, 6)), before)


def test_the_learned_scale_and_offset_export_to_the_same_calibration() -> None:
    scale = ScoreScaleAndOffset()
    scores = torch.linspace(-1, 1, 41)
    np.testing.assert_allclose(scale.export()(scores.numpy()), scores, atol=1e-7)
    for log_scale, offset in ((0.4, -0.2), (-2.0, 0.7), (3.0, 5.0)):
        with torch.no_grad():
            scale.log_scale.fill_(log_scale)
            scale.offset.fill_(offset)
            torch_scores = scale(scores).numpy()
        np.testing.assert_allclose(scale.export()(scores.numpy()), torch_scores, atol=1e-5)
        assert (np.diff(torch_scores) > 0).all()
