"""The regression-alleviating loss against a slow loop and by hand."""

from __future__ import annotations

import math

import pytest
import torch

from crossfade.evaluation import evaluate
from crossfade.fit.ract import fit_ract, ract_loss
from crossfade.fit.rqt import fit_rqt
from crossfade.fit.settings import FitSettings
from crossfade.testing.worlds import make_world

B, TAU = 12, 0.1


def scores(seed: int) -> torch.Tensor:
    generator = torch.Generator().manual_seed(seed)
    rows = torch.nn.functional.normalize(torch.randn(2, B, 6, generator=generator), dim=2)
    return rows[0] @ rows[1].T


def slow(new: torch.Tensor, old: torch.Tensor, labels: list[int], hardest: int) -> float:
    total = 0.0
    for i in range(B):
        negatives = [k for k in range(B) if labels[k] != labels[i]]
        z = 0.0
        for system in (new, old):
            exponentials = sorted(math.exp(float(system[i, k]) / TAU) for k in negatives)
            z += sum(exponentials[-hardest:])
        positives = [j for j in range(B) if labels[j] == labels[i]]
        terms = []
        for j in positives:
            e = math.exp(float(old[i, j]) / TAU)
            terms.append(-math.log(e / (e + z)))
        total += sum(terms) / len(terms)
    return total / B


@pytest.mark.parametrize("hardest", [1, 3, 100])
@pytest.mark.parametrize("labels", [[0, 1, 2] * 4, [0] * 6 + [1] * 5 + [2], list(range(B))])
def test_the_loss_is_what_slow_loops_compute(labels: list[int], hardest: int) -> None:
    new, old = scores(0), scores(5)
    fast = ract_loss(new, old, torch.tensor(labels), TAU, hardest)
    assert fast.item() == pytest.approx(slow(new, old, labels, hardest), rel=1e-4)


def test_a_loss_computed_by_hand() -> None:
    new = torch.tensor([[1.0, 0.2], [0.3, 1.0]])
    old = torch.tensor([[0.7, 0.1], [0.4, 0.5]])
    loss = ract_loss(new, old, torch.tensor([0, 1]), 1.0, 5)
    e = math.exp
    first = -math.log(e(0.7) / (e(0.7) + e(0.1) + e(0.2)))
    second = -math.log(e(0.5) / (e(0.5) + e(0.4) + e(0.3)))
    assert loss.item() == pytest.approx((first + second) / 2, rel=1e-5)


def test_one_class_has_no_negatives_and_nothing_to_lose() -> None:
    assert ract_loss(scores(0), scores(5), torch.zeros(B, dtype=torch.long), TAU, 5).item() == 0


def test_a_hard_new_negative_costs_though_the_old_system_is_right() -> None:
    labels = torch.tensor([0, 1, 2] * 4)
    old = torch.where(labels[:, None] == labels[None, :], 0.9, -0.9)
    easy, hard = torch.full((B, B), -0.9), torch.full((B, B), 0.9)
    assert ract_loss(easy, old, labels, TAU, 5) < 1e-5
    assert ract_loss(hard, old, labels, TAU, 5) > 1.0


def test_with_labels_the_merged_list_is_better_than_without() -> None:
    world = make_world(items=900, queries=120, noise_old=0.5, seed=2)
    fitting, gallery = (world.gallery.subset(part) for part in (range(500), range(500, 900)))
    settings = FitSettings(hidden=(32,), epochs=15)
    shares = {
        name: evaluate(fit(fitting, settings), gallery, world.queries).auc["map"]
        for name, fit in (("ract", fit_ract), ("rqt", fit_rqt))
    }
    assert shares["ract"] > shares["rqt"]
