"""Backward-compatible training: its loss, its limits, and what it buys and costs."""

from __future__ import annotations

import math

import numpy as np
import pytest
import torch
from torch import nn

from crossfade import Pairs, Space, evaluate
from crossfade.baselines.bct import (
    BctSettings,
    TrainedEncoder,
    bct_loss,
    bct_upgrade,
    cosine_logits,
    train_bct,
)
from crossfade.baselines.bict import bict_loss, fit_bict
from crossfade.embeddings import normalise
from crossfade.errors import InvalidInput
from crossfade.fit.class_means import class_means
from crossfade.fit.settings import FitSettings
from crossfade.upgrade import Side

CLASSES, D_IN, D_OLD, D_NEW, N = 6, 10, 4, 8, 600
QUICK = BctSettings(epochs=8, batch_size=50, learning_rate=1e-2)


def raw_items(n: int = N, seed: int = 0) -> tuple[torch.Tensor, np.ndarray]:
    """Classes are a pattern of signs that no single coordinate tells."""
    rng = np.random.default_rng(seed)
    centres = np.random.default_rng(99).normal(size=(CLASSES, D_IN))
    labels = rng.integers(0, CLASSES, n)
    rows = centres[labels] + 0.6 * rng.normal(size=(n, D_IN))
    return torch.from_numpy(rows.astype(np.float32)), labels


def old_model(inputs: torch.Tensor) -> np.ndarray:
    """A fixed projection of the first half of what is to be seen."""
    projection = np.random.default_rng(7).normal(size=(D_IN // 2, D_OLD))
    return normalise(inputs.numpy()[:, : D_IN // 2] @ projection)


def build() -> nn.Module:
    return nn.Sequential(nn.Linear(D_IN, 32), nn.ReLU(), nn.Linear(32, D_NEW))


INPUTS, LABELS = raw_items()
OLD_CLASSIFIER = class_means(old_model(INPUTS), LABELS, CLASSES)


def trained(old_weight: float = 1.0, old: np.ndarray | None = OLD_CLASSIFIER) -> TrainedEncoder:
    settings = BctSettings(
        epochs=8, batch_size=50, learning_rate=1e-2, old_weight=old_weight, seed=3
    )
    return train_bct(build, INPUTS, LABELS, old, settings)


def slow_cross_entropy(
    features: torch.Tensor, classifier: torch.Tensor, targets: list[int], tau: float
) -> float:
    total = 0.0
    for i, target in enumerate(targets):
        logits = []
        for row in classifier:
            x = features[i, : len(row)]
            length = math.sqrt(float(x @ x)) * math.sqrt(float(row @ row))
            logits.append(float(x @ row) / length / tau)
        total += math.log(sum(map(math.exp, logits))) - logits[target]
    return total / len(targets)


@pytest.mark.parametrize("old_weight", [0.0, 0.5, 2.0])
def test_the_loss_is_what_slow_loops_compute(old_weight: float) -> None:
    features, new, old = torch.randn(5, 8), torch.randn(3, 8), torch.randn(3, 4)
    targets = [0, 2, 1, 1, 0]
    fast = bct_loss(features, torch.tensor(targets), new, old, old_weight, 0.2)
    slow = slow_cross_entropy(features, new, targets, 0.2)
    slow += old_weight * slow_cross_entropy(features, old, targets, 0.2)
    assert fast.item() == pytest.approx(slow, rel=1e-4)


def test_the_wider_new_embedding_is_cut_for_the_old_classifier() -> None:
    features, old = torch.randn(5, 8), torch.randn(3, 4)
    padded = torch.cat([old, torch.zeros(3, 4)], dim=1)
    cut = features.clone()
    cut[:, 4:] = 0
    np.testing.assert_allclose(
        cosine_logits(features, old, 0.1), cosine_logits(cut, padded, 0.1), atol=1e-4
    )


def test_an_old_weight_of_0_trains_as_if_there_were_no_old_model() -> None:
    alone, ignored = trained(old=None), trained(old_weight=0.0)
    np.testing.assert_array_equal(alone(INPUTS), ignored(INPUTS))
    np.testing.assert_array_equal(alone.classifier, ignored.classifier)


def test_the_same_seed_trains_the_same_model() -> None:
    np.testing.assert_array_equal(trained()(INPUTS), trained()(INPUTS))


def test_a_compatible_model_searches_the_old_gallery_and_a_free_one_does_not() -> None:
    inputs, labels = raw_items(400, seed=5)
    found = {}
    for name, encoder in (("compatible", trained()), ("free", trained(old=None))):
        pairs = Pairs.of(range(400), old_model(inputs), encoder(inputs), labels)
        found[name] = evaluate(bct_upgrade(pairs.source, pairs.target), pairs, steps=3)
    old_old = found["free"].old_old["map"]
    start = {name: result.metrics["map"][0] for name, result in found.items()}
    assert start["compatible"] > old_old > start["free"]
    # ... and it pays with the new model's own quality, but not all of it.
    assert found["compatible"].new_new["map"] > old_old + 0.1


def test_the_upgrade_of_equal_widths_searches_with_the_query_as_it_is() -> None:
    upgrade = bct_upgrade(Space("old", 3), Space("new", 3))
    rows = normalise(np.random.default_rng(0).normal(size=(4, 3)))
    np.testing.assert_allclose(upgrade.old_side(rows).search_query, rows, atol=1e-6)
    cut = bct_upgrade(Space("old", 2), Space("new", 3)).old_side(rows).search_query
    np.testing.assert_allclose(cut, normalise(rows[:, :2]), atol=1e-6)


def test_a_narrower_new_model_is_refused() -> None:
    with pytest.raises(InvalidInput, match="at least as wide"):
        bct_upgrade(Space("old", 4), Space("new", 3))
    wide = class_means(normalise(np.eye(9)[LABELS % 9] + 0.1), LABELS, CLASSES)
    with pytest.raises(InvalidInput, match="at least as wide"):
        train_bct(build, INPUTS, LABELS, wide, QUICK)


def test_what_does_not_fit_together_is_refused() -> None:
    with pytest.raises(InvalidInput, match="600 labels for 599 inputs"):
        train_bct(build, INPUTS[1:], LABELS, None, QUICK)
    with pytest.raises(InvalidInput, match="two classes or more, got 1"):
        train_bct(build, INPUTS, np.zeros(N), None, QUICK)
    with pytest.raises(InvalidInput, match="5 rows for 6 classes"):
        train_bct(build, INPUTS, LABELS, OLD_CLASSIFIER[:5], QUICK)


def test_bicts_loss_is_what_slow_loops_compute() -> None:
    mapped, new = (nn.functional.normalize(torch.randn(5, 8), dim=1) for _ in range(2))
    classifier, targets = nn.functional.normalize(torch.randn(3, 8), dim=1), [0, 2, 1, 1, 0]
    slow = sum(1 - float(a @ b) for a, b in zip(mapped, new, strict=True)) / 5
    slow += slow_cross_entropy(mapped, classifier, targets, 0.2)
    fast = bict_loss(mapped, new, classifier, torch.tensor(targets), 0.2)
    assert fast.item() == pytest.approx(slow, rel=1e-4)


def test_bict_lifts_the_old_gallery_above_plain_bct() -> None:
    encoder = trained()
    fitting = Pairs.of(range(N), old_model(INPUTS), encoder(INPUTS), LABELS)
    settings = FitSettings(forward_hidden=(64, 64), epochs=30, batch_size=50)
    upgrade = fit_bict(fitting, encoder.classifier, settings)
    inputs, labels = raw_items(400, seed=5)
    pairs = Pairs.of(range(400), old_model(inputs), encoder(inputs), labels)
    lifted = evaluate(upgrade, pairs, steps=3).auc["map"]
    assert upgrade.side is Side.ITEMS
    assert lifted > evaluate(bct_upgrade(pairs.source, pairs.target), pairs, steps=3).auc["map"]


def test_bict_needs_labels_and_their_classifier() -> None:
    pairs = Pairs.of(range(9), np.ones((9, 4)), np.ones((9, 8)), [0, 1, 2] * 3)
    with pytest.raises(InvalidInput, match="bict needs labels"):
        fit_bict(pairs.without_labels(), np.ones((3, 8), np.float32), FitSettings())
    with pytest.raises(InvalidInput, match=r"shape \(2, 8\), wanted \(3, 8\)"):
        fit_bict(pairs, np.ones((2, 8), np.float32), FitSettings())
