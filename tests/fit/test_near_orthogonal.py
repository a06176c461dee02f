"""The near-orthogonal head: its penalty, its contrastive term, and what it keeps."""

from __future__ import annotations

import math

import numpy as np
import pytest
import torch
from pytorch_metric_learning.losses import SupConLoss

from crossfade import Pairs
from crossfade.embeddings import unit_rows
from crossfade.fit.near_orthogonal import (
    fit_near_orthogonal,
    near_orthogonality_loss,
    supervised_contrastive_loss,
)
from crossfade.fit.settings import FitSettings
from crossfade.testing.worlds import make_world

QUICK = FitSettings(epochs=4, forward_hidden=(16,))


def rows(n: int, dim: int, seed: int = 0) -> np.ndarray:
    return unit_rows(np.random.default_rng(seed).normal(size=(n, dim)))


def slow_contrastive(z: torch.Tensor, labels: list[int], tau: float) -> float:
    terms = []
    for i in range(len(z)):
        others = [a for a in range(len(z)) if a != i]
        total = sum(math.exp(float(z[i] @ z[a]) / tau) for a in others)
        mates = [p for p in others if labels[p] == labels[i]]
        if mates:
            shares = [math.log(math.exp(float(z[i] @ z[p]) / tau) / total) for p in mates]
            terms.append(-sum(shares) / len(mates))
    return sum(terms) / max(1, len(terms))


@pytest.mark.parametrize("labels", [[0, 1, 2, 0, 1, 2, 0], [0] * 7, [0, 0, 1, 2, 3, 4, 5]])
def test_the_contrastive_term_is_what_slow_loops_compute(labels: list[int]) -> None:
    z = torch.from_numpy(rows(7, 4))
    fast = supervised_contrastive_loss(z, torch.tensor(labels), 0.2)
    assert fast.item() == pytest.approx(slow_contrastive(z, labels, 0.2), rel=1e-4)


def test_the_contrastive_term_is_the_known_librarys() -> None:
    z, labels = torch.from_numpy(rows(12, 5)), torch.tensor([0, 1, 2] * 4)
    known = SupConLoss(temperature=0.1)(z, labels)
    assert supervised_contrastive_loss(z, labels, 0.1).item() == pytest.approx(
        known.item(), rel=1e-4
    )


def test_without_mates_there_is_no_contrastive_term() -> None:
    z = torch.from_numpy(rows(4, 3))
    assert supervised_contrastive_loss(z, torch.arange(4), 0.1).item() == 0


def test_the_penalty_is_what_a_slow_loop_computes() -> None:
    weight = torch.randn(4, 4, generator=torch.Generator().manual_seed(0))
    squares = 0.0
    for i in range(4):
        for j in range(4):
            entry = sum(float(weight[k, i] * weight[k, j]) for k in range(4)) - (i == j)
            squares += entry**2
    threshold = 0.1 * math.sqrt(4)
    sharpness = 10 / threshold
    wanted = math.log1p(math.exp(sharpness * (math.sqrt(squares) - threshold))) / sharpness
    assert near_orthogonality_loss(weight).item() == pytest.approx(wanted, rel=1e-4)


def test_a_rotation_is_all_but_free_and_what_is_far_from_one_is_not() -> None:
    turn = torch.linalg.qr(torch.randn(6, 6))[0]
    assert near_orthogonality_loss(turn) < 1e-4
    assert near_orthogonality_loss(1.02 * turn) < 0.05
    assert near_orthogonality_loss(2.0 * turn) > 5.0


@pytest.mark.parametrize("labels", [True, False])
@pytest.mark.parametrize(("d_old", "d_new"), [(8, 8), (6, 9), (9, 6)])
def test_the_head_stays_near_a_rotation_and_keeps_the_new_models_scores(
    d_old: int, d_new: int, labels: bool
) -> None:
    pairs = make_world(items=300, queries=0, dim_old=d_old, dim_new=d_new, dim_latent=4).gallery
    upgrade = fit_near_orthogonal(pairs if labels else pairs.without_labels(), QUICK)
    assert upgrade.rho is not None
    weight = upgrade.rho.layers[0].weight
    departure = np.linalg.norm(weight.T @ weight - np.eye(d_new))
    assert departure < 0.3 * math.sqrt(d_new)
    stored, new = upgrade.store_new(pairs.new_rows()), pairs.new_rows()
    assert np.corrcoef((stored @ stored.T).ravel(), (new @ new.T).ravel())[0, 1] > 0.95


@pytest.mark.parametrize(("d_old", "d_new"), [(6, 6), (4, 7)])
def test_an_exactly_rotated_space_is_met_exactly(d_old: int, d_new: int) -> None:
    turn = np.linalg.qr(np.random.default_rng(1).normal(size=(d_new, d_new)))[0][:, :d_old]
    old = rows(400, d_old)
    pairs = Pairs.of(range(400), old, old @ turn.T)
    upgrade = fit_near_orthogonal(
        pairs, FitSettings(epochs=1, ridge_penalty=1e-8, forward_hidden=(16,))
    )
    stored, mapped = upgrade.store_new(pairs.new_rows()), upgrade.map_items(pairs.old_rows())
    assert mapped is not None
    assert (stored[:, :d_old] * old).sum(axis=1).mean() > 0.999
    assert (stored * mapped).sum(axis=1).mean() > 0.999
