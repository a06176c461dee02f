"""Kernel ridge on the forward ridge's residuals: slow references, many pairs, bounded size."""

from __future__ import annotations

import math
from pathlib import Path

import numpy as np
import pytest

from crossfade import Pairs, Side
from crossfade.embeddings import unit_rows
from crossfade.fit.kernel import fit_forward_kernel, kernel_of_pairs
from crossfade.fit.moments import pair_moments
from crossfade.fit.settings import FitSettings
from crossfade.upgrade import Affine, Kernel, residual_kernel, ridge_map

SETTINGS = FitSettings()


def bent_pairs(n: int, dim_old: int = 5, dim_new: int = 6, seed: int = 0) -> Pairs:
    """New vectors that are no linear function of the old ones."""
    old = unit_rows(np.random.default_rng(seed).normal(size=(n, dim_old)))
    into = np.random.default_rng(99).normal(size=(dim_old, dim_new))
    return Pairs.of(range(n), old, np.sin(3 * old @ into) + 0.2)


def skip_of(pairs: Pairs) -> Affine:
    return ridge_map(pair_moments(pairs, forward=True))


def cosine(pairs: Pairs, mapped: np.ndarray | None) -> float:
    assert mapped is not None
    return float((mapped * pairs.new_rows()).sum(axis=1).mean())


def inputs_of(kernel: Kernel, old: np.ndarray) -> np.ndarray:
    """Old vectors as the kernel sees them."""
    assert kernel.inputs is not None
    return np.asarray(unit_rows(kernel.inputs(old)))


def slow_weight(
    pairs: Pairs, z: np.ndarray, skip: Affine, gamma: float, penalty: float
) -> np.ndarray:
    """(K + penalty n I)^-1 R, K entry by entry."""
    old = z.tolist()
    n = len(old)
    similar = [[math.exp(gamma * (sum(map(float.__mul__, a, b)) - 1)) for b in old] for a in old]
    for i in range(n):
        similar[i][i] += penalty * n
    return np.linalg.inv(np.array(similar)) @ (pairs.new_rows() - skip(pairs.old_rows()))


@pytest.mark.parametrize(("gamma", "penalty"), [(2.0, 1e-3), (0.5, 1e-2), (6.0, 1e-4)])
def test_few_pairs_are_fitted_as_a_slow_loop_fits_them(gamma: float, penalty: float) -> None:
    pairs = bent_pairs(40)
    skip = skip_of(pairs)
    old, new = pairs.old_rows(), pairs.new_rows()
    kernel = residual_kernel(old, new, skip, gamma=gamma, penalty=penalty)
    z = inputs_of(kernel, old)
    np.testing.assert_allclose(kernel.landmarks, z, atol=1e-6)
    wanted = slow_weight(pairs, z, skip, gamma, penalty)
    np.testing.assert_allclose(kernel.weight, wanted, rtol=1e-3, atol=1e-4)


@pytest.mark.parametrize("n", [8, 40, 4_000])
def test_old_vectors_are_half_whitened_the_less_the_fewer_there_are(n: int) -> None:
    rng = np.random.default_rng(n)
    old = unit_rows(rng.normal(size=(n, 5)) * [4.0, 2.0, 1.0, 0.5, 0.1] + 1.0)
    skip = Affine(np.zeros((5, 2), np.float32), np.zeros(2, np.float32))
    inputs = residual_kernel(old, old[:, :2], skip).inputs if n < 1_000 else None
    drawn = residual_kernel(old, old[:, :2], skip, np.arange(20) % n).inputs
    assert drawn is not None
    for found in (drawn, *([inputs] if inputs is not None else [])):
        np.testing.assert_allclose(found(old).mean(axis=0), 0, atol=1e-5)
        covariance = np.cov(old.T.astype(np.float64), bias=True)
        shrunk = covariance + 5 / n * np.trace(covariance) / 5 * np.eye(5)
        # M^4 is the inverse of the shrunk covariance, but for its scale.
        product = np.linalg.matrix_power(found.weight.astype(np.float64), 4) @ shrunk
        np.testing.assert_allclose(product / product[0, 0], np.eye(5), atol=1e-3)


@pytest.mark.parametrize("rows", [7, 10, 2_048])
def test_many_pairs_are_fitted_with_the_least_penalised_squared_error(
    rows: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("crossfade.upgrade.kernel_maps._ROWS", rows)
    pairs = bent_pairs(300)
    skip = skip_of(pairs)
    old, new = pairs.old_rows(), pairs.new_rows()
    kernel = residual_kernel(old, new, skip, np.arange(0, 300, 15), penalty=1e-3)
    z = inputs_of(kernel, old)
    np.testing.assert_allclose(kernel.landmarks, z[::15], atol=1e-6)
    residuals = pairs.new_rows() - skip(pairs.old_rows())

    def similar(x: np.ndarray) -> np.ndarray:
        return np.exp(kernel.gamma * (x @ kernel.landmarks.T - 1)).astype(np.float64)

    def cost(weight: np.ndarray) -> float:
        error = residuals - similar(z) @ weight
        smooth = np.sum((similar(kernel.landmarks) @ weight) * weight)
        return float(np.sum(error**2) + 1e-3 * len(pairs) * smooth)

    least = cost(kernel.weight)
    rng = np.random.default_rng(0)
    for _ in range(20):
        moved = kernel.weight + 0.05 * rng.normal(size=kernel.weight.shape)
        assert cost(moved) > least


def test_normal_equations_over_all_landmarks_are_the_full_solution() -> None:
    pairs = bent_pairs(120)
    skip = skip_of(pairs)
    old, new = pairs.old_rows(), pairs.new_rows()
    full = residual_kernel(old, new, skip, penalty=1e-3)
    drawn = residual_kernel(old, new, skip, np.arange(120), penalty=1e-3)
    x = bent_pairs(200, seed=1).old_rows()
    np.testing.assert_allclose(drawn(x), full(x), atol=3e-3)


def test_a_bent_space_is_mapped_better_than_by_the_ridge() -> None:
    pairs, others = bent_pairs(600), bent_pairs(300, seed=1)
    upgrade = fit_forward_kernel(pairs, SETTINGS)
    assert upgrade.side is Side.ITEMS
    ridge = skip_of(pairs)(others.old_rows())
    linear = cosine(others, ridge / np.linalg.norm(ridge, axis=1, keepdims=True))
    assert cosine(others, upgrade.map_items(others.old_rows())) > linear + 0.2


def test_a_linear_space_is_mapped_as_by_the_ridge() -> None:
    old = bent_pairs(300).old_rows()
    turn = np.linalg.qr(np.random.default_rng(3).normal(size=(5, 5)))[0]
    pairs = Pairs.of(range(300), old, old @ turn)
    upgrade = fit_forward_kernel(pairs, SETTINGS)
    others = bent_pairs(50, seed=1).old_rows()
    np.testing.assert_allclose(upgrade.map_items(others), others @ turn, atol=1e-3)


def test_landmarks_and_pairs_read_are_bounded_and_seeded(monkeypatch: pytest.MonkeyPatch) -> None:
    pairs = bent_pairs(900)
    read: list[int] = []
    new_rows = Pairs.new_rows

    def counted(self: Pairs, rows: object = slice(None)) -> np.ndarray:
        found = new_rows(self, rows)
        read.append(len(found))
        return found

    skip = skip_of(pairs)
    monkeypatch.setattr(Pairs, "new_rows", counted)
    first, again, other = (
        kernel_of_pairs(pairs, skip, seed, most_landmarks=30, most_pairs=500) for seed in (0, 0, 1)
    )
    assert read == [500] * 3
    assert first.landmarks.shape == (30, 5)
    np.testing.assert_array_equal(first.weight, again.weight)
    assert not np.array_equal(first.landmarks, other.landmarks)
    nearest = (first.landmarks @ inputs_of(first, pairs.old_rows()).T).max(axis=1)
    np.testing.assert_allclose(nearest, 1, atol=1e-6)


def test_pairs_on_disk_are_fitted_as_those_in_memory(tmp_path: Path) -> None:
    pairs = bent_pairs(200)
    pairs.save(tmp_path / "pairs")
    on_disk = Pairs.load(tmp_path / "pairs")
    skip = skip_of(pairs)
    for most in (50, 5_000):
        first, second = (
            kernel_of_pairs(source, skip, 0, most_landmarks=most) for source in (pairs, on_disk)
        )
        np.testing.assert_allclose(second.weight, first.weight, rtol=1e-3, atol=1e-3)


@pytest.mark.parametrize("most", [79, 5_000])
def test_pairs_that_repeat_are_mapped_to_their_mean(most: int) -> None:
    ten = bent_pairs(10).old_rows()
    pairs = Pairs.of(range(80), np.tile(ten, (8, 1)), bent_pairs(80).new_rows())
    skip = skip_of(pairs)
    kernel = kernel_of_pairs(pairs, skip, 0, most_landmarks=most)
    means = pairs.new_rows().reshape(8, 10, -1).mean(axis=0)
    np.testing.assert_allclose(skip(ten) + kernel(ten), means, atol=0.01)
