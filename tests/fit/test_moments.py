"""Moments in one pass, and the ridge map against scikit-learn and plain least squares."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from sklearn.linear_model import Ridge

from crossfade import Pairs
from crossfade.errors import InvalidInput
from crossfade.fit import moments as module
from crossfade.fit.moments import pair_moments
from crossfade.upgrade import ridge_map


def pairs_of(n: int, d_old: int = 6, d_new: int = 9, seed: int = 0) -> Pairs:
    rng = np.random.default_rng(seed)
    # Real embeddings sit in a cone: their mean is far from zero.
    old = rng.normal(size=(n, d_old)) + 2
    new = old @ rng.normal(size=(d_old, d_new)) + rng.normal(size=(n, d_new)) + 1
    return Pairs.of(np.arange(n), old, new)


def sides(pairs: Pairs, forward: bool) -> tuple[np.ndarray, np.ndarray]:
    old, new = pairs.old_rows().astype(np.float64), pairs.new_rows().astype(np.float64)
    return (old, new) if forward else (new, old)


@pytest.mark.parametrize("forward", [True, False])
@pytest.mark.parametrize("n", [1, 2, 50])
def test_moments_are_means_and_centred_products(n: int, forward: bool) -> None:
    x, y = sides(pairs_of(n), forward)
    moments = pair_moments(pairs_of(n), forward=forward)
    assert moments.n == n
    np.testing.assert_allclose(moments.mean_x, x.mean(axis=0))
    np.testing.assert_allclose(moments.mean_y, y.mean(axis=0))
    centred_x, centred_y = x - x.mean(axis=0), y - y.mean(axis=0)
    np.testing.assert_allclose(moments.xx, centred_x.T @ centred_x, atol=1e-10)
    np.testing.assert_allclose(moments.xy, centred_x.T @ centred_y, atol=1e-10)


@pytest.mark.parametrize("chunk", [1, 7, 49, 50, 1000])
def test_the_chunk_size_does_not_matter(monkeypatch: pytest.MonkeyPatch, chunk: int) -> None:
    whole = pair_moments(pairs_of(50), forward=True)
    monkeypatch.setattr(module, "_CHUNK_ROWS", chunk)
    parts = pair_moments(pairs_of(50), forward=True)
    for name in ("mean_x", "mean_y", "xx", "xy"):
        np.testing.assert_allclose(getattr(parts, name), getattr(whole, name), atol=1e-10)


def test_memory_mapped_pairs_have_the_same_moments(tmp_path: Path) -> None:
    pairs = pairs_of(50)
    pairs.save(tmp_path / "pairs")
    mapped = pair_moments(Pairs.load(tmp_path / "pairs"), forward=True)
    np.testing.assert_array_equal(mapped.xy, pair_moments(pairs, forward=True).xy)


@pytest.mark.parametrize("forward", [True, False])
@pytest.mark.parametrize("penalty", [1e-5, 0.01, 1.0])
@given(n=st.integers(3, 60), seed=st.integers(0, 9))
def test_the_ridge_map_is_scikit_learns(n: int, seed: int, forward: bool, penalty: float) -> None:
    pairs = pairs_of(n, seed=seed)
    x, y = sides(pairs, forward)
    moments = pair_moments(pairs, forward=forward)
    ours = ridge_map(moments, penalty)
    strength = penalty * np.trace(moments.xx) / x.shape[1]
    known = Ridge(alpha=strength, solver="svd").fit(x, y)
    np.testing.assert_allclose(ours(x.astype(np.float32)), known.predict(x), atol=1e-4)


def test_with_hardly_a_penalty_it_is_least_squares() -> None:
    pairs = pairs_of(200)
    x, y = sides(pairs, True)
    ours = ridge_map(pair_moments(pairs, forward=True), 1e-10)
    ones = np.ones((200, 1))
    solution = np.linalg.lstsq(np.hstack([x, ones]), y, rcond=None)[0]
    np.testing.assert_allclose(ours.weight, solution[:-1], atol=1e-4)
    np.testing.assert_allclose(ours.bias, solution[-1], atol=1e-4)


def test_an_exact_linear_map_is_found_from_enough_pairs() -> None:
    rng = np.random.default_rng(0)
    old = rng.normal(size=(300, 5))
    old /= np.linalg.norm(old, axis=1, keepdims=True)
    rotation = np.linalg.qr(rng.normal(size=(8, 5)))[0]
    pairs = Pairs.of(range(300), old, old @ rotation.T)
    found = ridge_map(pair_moments(pairs, forward=True), 1e-10)
    np.testing.assert_allclose(found(pairs.old_rows()), pairs.new_rows(), atol=1e-5)


def test_fewer_pairs_a_dimension_are_shrunk_more() -> None:
    sizes = [5, 50, 500]
    norms = [
        np.linalg.norm(ridge_map(pair_moments(pairs_of(n), forward=True)).weight) for n in sizes
    ]
    strong = [
        np.linalg.norm(ridge_map(pair_moments(pairs_of(n), forward=True), 1e-5).weight)
        for n in sizes
    ]
    shrunk = [1 - chosen / barely for chosen, barely in zip(norms, strong, strict=True)]
    assert shrunk[0] > shrunk[1] > shrunk[2]


def test_items_that_are_all_alike_map_to_the_mean() -> None:
    rng = np.random.default_rng(0)
    pairs = Pairs.of(range(20), np.ones((20, 4)), rng.normal(size=(20, 3)))
    found = ridge_map(pair_moments(pairs, forward=True))
    wanted = np.tile(pairs.new_rows().mean(axis=0), (20, 1))
    np.testing.assert_allclose(found(pairs.old_rows()), wanted, atol=1e-5)


def test_no_pairs_have_no_moments() -> None:
    empty = Pairs.of([], np.empty((0, 3)), np.empty((0, 4)))
    with pytest.raises(InvalidInput, match="fitting needs pairs, got none"):
        pair_moments(empty, forward=True)
