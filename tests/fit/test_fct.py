"""FCT and FastFill: forward maps, the loss with its uncertainty, and the order it gives."""

from __future__ import annotations

import math

import numpy as np
import pytest
import torch

from crossfade import Pairs
from crossfade.embeddings import unit_rows
from crossfade.evaluation.orders import backfill_order
from crossfade.fit.fastfill import classification_cost, fastfill_loss, fit_fastfill
from crossfade.fit.fct import fct_network, fit_fct
from crossfade.fit.settings import FitSettings
from crossfade.testing.worlds import make_world

QUICK = FitSettings(epochs=20, forward_hidden=(64,), batch_size=64)


def half_known(n: int = 800, dim: int = 6) -> Pairs:
    """Items of the first half: the old vector says all; of the second: nothing."""
    rng = np.random.default_rng(0)
    old = rng.normal(size=(n, dim))
    old[:, 0] = np.where(np.arange(n) < n // 2, 3.0, -3.0)
    new = old @ rng.normal(size=(dim, dim))
    new[n // 2 :] = rng.normal(size=(n - n // 2, dim))
    return Pairs.of(range(n), old, new)


def test_fct_maps_items_to_the_new_space() -> None:
    rng = np.random.default_rng(0)
    old = unit_rows(rng.normal(size=(1500, 5)))
    pairs = Pairs.of(range(1500), old, np.tanh(2 * old) @ rng.normal(size=(5, 7)))
    mapped = fit_fct(pairs, QUICK).map_items(pairs.old_rows())
    assert mapped is not None
    assert (mapped * pairs.new_rows()).sum(axis=1).mean() > 0.97


def test_fcts_layers_project_then_mix() -> None:
    pairs = make_world(items=30, queries=0, dim_old=5, dim_new=7).gallery
    widths = [block[0].out_features for block in fct_network(pairs, FitSettings()).blocks]  # type: ignore[index]
    assert widths == [10, 14, 512, 512]


def test_fastfills_loss_is_what_a_slow_loop_computes() -> None:
    cost, doubt = torch.rand(9), torch.randn(9)
    slow = sum(
        0.5 * math.exp(-s) * c + 0.5 * s for c, s in zip(cost.tolist(), doubt.tolist(), strict=True)
    )
    assert fastfill_loss(cost, doubt).item() == pytest.approx(slow / 9, rel=1e-5)


def test_without_an_opinion_it_is_half_the_plain_loss() -> None:
    cost = torch.rand(9)
    assert fastfill_loss(cost, torch.zeros(9)).item() == pytest.approx(0.5 * cost.mean().item())


def test_the_best_uncertainty_is_the_logarithm_of_the_cost() -> None:
    cost = torch.tensor([0.1, 1.0, 3.0])
    best = fastfill_loss(cost, cost.log())
    for shift in (-0.2, 0.2):
        assert fastfill_loss(cost, cost.log() + shift) > best


def test_the_classification_cost_is_what_a_slow_loop_computes() -> None:
    # In double precision: a small cost is a difference of large logits.
    mapped, classifier = (torch.randn(n, 3, dtype=torch.float64) for n in (4, 5))
    labels = torch.tensor([0, 4, 2, 2])
    cost = classification_cost(mapped, classifier, labels, 0.5)
    for i in range(4):
        logits = [float(mapped[i] @ classifier[c]) / 0.5 for c in range(5)]
        slow = math.log(sum(map(math.exp, logits))) - logits[int(labels[i])]
        assert cost[i].item() == pytest.approx(slow, rel=1e-4)


def test_fastfill_is_unsure_of_what_the_old_model_does_not_know() -> None:
    pairs = half_known()
    upgrade = fit_fastfill(pairs, QUICK)
    first = backfill_order("uncertainty", pairs, upgrade, seed=0)[:400]
    assert (first >= 400).mean() > 0.95


def test_labels_take_part_in_fastfill() -> None:
    pairs = make_world(items=300, queries=0).gallery
    settings = FitSettings(epochs=2, forward_hidden=(16,))
    with_labels, without = (
        fit_fastfill(given, settings) for given in (pairs, pairs.without_labels())
    )
    assert with_labels.id != without.id
