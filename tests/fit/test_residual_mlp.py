"""Drift-Adapter's residual MLP: starts as the rotation, and learns what a rotation can't."""

from __future__ import annotations

import numpy as np
import pytest
import torch

from crossfade import Pairs
from crossfade.embeddings import unit_rows
from crossfade.fit.procrustes import fit_procrustes
from crossfade.fit.residual_mlp import fit_residual_mlp, squared_error
from crossfade.fit.settings import FitSettings


def rows(n: int, dim: int) -> np.ndarray:
    return unit_rows(np.random.default_rng(0).normal(size=(n, dim)))


def cosine(pairs: Pairs, fit: object, settings: FitSettings) -> float:
    psi = fit(pairs, settings).psi  # type: ignore[operator]
    return float((psi(pairs.new_rows()) * pairs.old_rows()).sum(axis=1).mean())


def test_squared_error_is_what_a_slow_loop_computes() -> None:
    a, b = torch.randn(5, 3), torch.randn(5, 3)
    slow = [sum((float(a[i, j]) - float(b[i, j])) ** 2 for j in range(3)) for i in range(5)]
    assert squared_error(a, b).tolist() == pytest.approx(slow, rel=1e-5)


@pytest.mark.parametrize(("d_old", "d_new"), [(6, 6), (4, 7)])
def test_an_exact_rotation_is_kept(d_old: int, d_new: int) -> None:
    turn = np.linalg.qr(np.random.default_rng(1).normal(size=(d_new, d_new)))[0][:, :d_old]
    new = rows(400, d_old) @ turn.T
    pairs = Pairs.of(range(400), new @ turn, new)
    assert cosine(pairs, fit_residual_mlp, FitSettings(epochs=2, hidden=(16,))) > 0.9999


def test_what_bends_is_mapped_better_than_by_a_rotation() -> None:
    new = rows(1500, 6)
    pairs = Pairs.of(range(1500), np.maximum(new, 0) + 0.1, new)
    settings = FitSettings(epochs=12, hidden=(64,), batch_size=64)
    residual, turned = (cosine(pairs, fit, settings) for fit in (fit_residual_mlp, fit_procrustes))
    assert residual > 0.97 > turned
