"""Reduced-rank ridge against a search over subspaces, and against the ridge itself."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from crossfade import Pairs
from crossfade.embeddings import unit_rows
from crossfade.errors import InvalidInput
from crossfade.fit.low_rank import fit_low_rank, reduced_rank_map
from crossfade.fit.moments import pair_moments
from crossfade.fit.settings import FitSettings
from crossfade.upgrade import Affine, ridge_map


def noisy_pairs(n: int, d_old: int, d_new: int, seed: int = 0) -> Pairs:
    rng = np.random.default_rng(seed)
    new = unit_rows(rng.normal(size=(n, d_new)))
    old = new @ rng.normal(size=(d_new, d_old)) + 0.3 * rng.normal(size=(n, d_old))
    return Pairs.of(range(n), old, new)


def penalised_error(pairs: Pairs, weight: np.ndarray, penalty: float) -> float:
    """Squared error of a centred map plus its penalty, row by row."""
    x, y = pairs.new_rows().astype(np.float64), pairs.old_rows().astype(np.float64)
    x, y = x - x.mean(0), y - y.mean(0)
    error = sum(float(((x[i] @ weight - y[i]) ** 2).sum()) for i in range(len(x)))
    return error + penalty * np.trace(x.T @ x) / x.shape[1] * float((weight**2).sum())


@pytest.mark.parametrize("rank", [1, 2, 3])
def test_no_alternating_least_squares_of_the_rank_does_better(rank: int) -> None:
    pairs, penalty = noisy_pairs(120, 5, 6), 0.01
    ours = reduced_rank_map(pair_moments(pairs, forward=False), rank, penalty).weight
    x, y = pairs.new_rows().astype(np.float64), pairs.old_rows().astype(np.float64)
    x, y = x - x.mean(0), y - y.mean(0)
    strength = penalty * np.trace(x.T @ x) / 6
    gram = x.T @ x + strength * np.eye(6)
    best = np.inf
    for seed in range(5):
        # W = A B^T with B orthonormal: solve for A, then for B (a Procrustes problem).
        b = np.linalg.qr(np.random.default_rng(seed).normal(size=(5, rank)))[0]
        for _ in range(300):
            a = np.linalg.solve(gram, x.T @ y @ b)
            left, _, right = np.linalg.svd(y.T @ x @ a, full_matrices=False)
            b = left @ right
        best = min(best, penalised_error(pairs, a @ b.T, penalty))
    assert penalised_error(pairs, ours, penalty) <= best * (1 + 1e-5)
    assert np.linalg.matrix_rank(ours, tol=1e-4) == rank


@given(st.integers(1, 6), st.integers(1, 6), st.integers(0, 9))
def test_full_rank_is_the_ridge(d_old: int, d_new: int, seed: int) -> None:
    moments = pair_moments(noisy_pairs(60, d_old, d_new, seed), forward=False)
    full, ridge = reduced_rank_map(moments, 6), ridge_map(moments)
    np.testing.assert_allclose(full.weight, ridge.weight, atol=1e-4)
    np.testing.assert_allclose(full.bias, ridge.bias, atol=1e-4)


def test_a_map_of_low_rank_is_found_exactly() -> None:
    rng = np.random.default_rng(0)
    new = unit_rows(rng.normal(size=(200, 8)))
    old = new @ (rng.normal(size=(8, 2)) @ rng.normal(size=(2, 6)))
    pairs = Pairs.of(range(200), old, new)
    psi = fit_low_rank(pairs, FitSettings(rank=6, ridge_penalty=1e-10)).psi
    narrow = fit_low_rank(pairs, FitSettings(rank=3, ridge_penalty=1e-10)).psi
    assert psi is not None and narrow is not None
    np.testing.assert_allclose(narrow(new), psi(new), atol=0.05)


@pytest.mark.parametrize(
    ("d_old", "d_new", "rank"), [(8, 100, 2), (100, 8, 2), (2, 3, 1), (400, 400, 64)]
)
def test_the_default_rank_is_a_quarter_of_the_narrower_width(
    d_old: int, d_new: int, rank: int
) -> None:
    psi = fit_low_rank(noisy_pairs(500, d_old, d_new), FitSettings()).psi
    assert psi is not None and isinstance(psi.skip, Affine)
    assert np.linalg.matrix_rank(psi.skip.weight, tol=1e-3) == rank


@pytest.mark.parametrize("rank", [0, -1, 2.0, True])
def test_a_rank_that_is_none_is_refused(rank: object) -> None:
    with pytest.raises(InvalidInput, match=r"rank is .* wanted"):
        FitSettings(rank=rank)  # type: ignore[arg-type]
