"""Procrustes, ridge in both directions and rank merge: known answers, no PyTorch."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from scipy.linalg import orthogonal_procrustes

from crossfade import Pairs, Side
from crossfade.embeddings import unit_rows
from crossfade.errors import InvalidInput
from crossfade.fit.moments import Moments
from crossfade.fit.procrustes import centred_rotation, fit_procrustes, fit_procrustes_centred
from crossfade.fit.rank_merge import (
    fit_rank_merge,
    fit_rank_merge_quantile,
    matching_quantiles,
)
from crossfade.fit.ridge import fit_forward_ridge, fit_ridge
from crossfade.fit.settings import FitSettings
from crossfade.upgrade import Affine

SETTINGS = FitSettings()


def rotation(dim_in: int, dim_out: int, seed: int = 0) -> np.ndarray:
    """Orthonormal rows or columns."""
    size = max(dim_in, dim_out)
    square = np.linalg.qr(np.random.default_rng(seed).normal(size=(size, size)))[0]
    return square[:dim_in, :dim_out]


def rows(n: int, dim: int, seed: int = 0) -> np.ndarray:
    return unit_rows(np.random.default_rng(seed).normal(size=(n, dim)))


def scatter(x: np.ndarray, y: np.ndarray) -> np.ndarray:
    return (x - x.mean(0)).T @ (y - y.mean(0))


def weight_of(pairs: Pairs) -> np.ndarray:
    psi = fit_procrustes(pairs, SETTINGS).psi
    assert psi is not None and isinstance(psi.skip, Affine)
    return psi.skip.weight


@given(st.integers(2, 9), st.integers(0, 9))
def test_an_exactly_rotated_space_is_turned_back(dim: int, seed: int) -> None:
    turn = rotation(dim, dim, seed)
    new = rows(60, dim, seed)
    pairs = Pairs.of(range(60), new @ turn, new)
    np.testing.assert_allclose(weight_of(pairs), turn, atol=1e-4)
    psi = fit_procrustes(pairs, SETTINGS).psi
    assert psi is not None
    np.testing.assert_allclose(psi(pairs.new_rows()), pairs.old_rows(), atol=1e-5)


@pytest.mark.parametrize(("d_old", "d_new"), [(5, 9), (9, 5)])
def test_with_unequal_widths_the_narrow_space_is_embedded_exactly(d_old: int, d_new: int) -> None:
    turn = rotation(d_new, d_old)
    # The new vectors lie where the map loses nothing.
    new = rows(80, min(d_old, d_new)) @ (turn.T if d_old < d_new else np.eye(d_new))
    pairs = Pairs.of(range(80), new @ turn, new)
    found = weight_of(pairs)
    narrow = found @ found.T if d_new < d_old else found.T @ found
    np.testing.assert_allclose(narrow, np.eye(min(d_old, d_new)), atol=1e-5)
    psi = fit_procrustes(pairs, SETTINGS).psi
    assert psi is not None
    np.testing.assert_allclose(psi(pairs.new_rows()), pairs.old_rows(), atol=1e-4)


def test_the_rotation_of_noisy_pairs_is_scipys() -> None:
    new = rows(100, 7)
    old = new @ rotation(7, 7) + 0.3 * np.random.default_rng(1).normal(size=(100, 7))
    pairs = Pairs.of(range(100), old, new)
    known, _ = orthogonal_procrustes(pairs.new_rows(), pairs.old_rows())
    np.testing.assert_allclose(weight_of(pairs), known, atol=1e-5)


def test_a_rotation_keeps_the_new_models_scores() -> None:
    pairs = Pairs.of(range(50), rows(50, 6, 1), rows(50, 6, 2))
    psi = fit_procrustes(pairs, SETTINGS).psi
    assert psi is not None
    mapped, new = psi(pairs.new_rows()), pairs.new_rows()
    np.testing.assert_allclose(mapped @ mapped.T, new @ new.T, atol=1e-5)


@given(st.integers(2, 9), st.integers(0, 9))
def test_a_turned_and_moved_space_is_mapped_back_about_its_means(dim: int, seed: int) -> None:
    rng = np.random.default_rng(seed)
    turn = rotation(dim, dim, seed)
    new = rows(80, dim, seed)
    moved = new @ turn + 2.0 * rng.normal(size=dim)
    moments = Moments(80, new.mean(0), moved.mean(0), scatter(new, new), scatter(new, moved))
    found = centred_rotation(moments)
    np.testing.assert_allclose(found.weight, turn, atol=1e-4)
    np.testing.assert_allclose(found(new), moved, atol=1e-4)


def test_the_centred_rotation_of_noisy_pairs_is_scipys() -> None:
    new = rows(100, 7) + 1
    old = new @ rotation(7, 7) + 0.3 * np.random.default_rng(1).normal(size=(100, 7))
    pairs = Pairs.of(range(100), old, new)
    psi = fit_procrustes_centred(pairs, SETTINGS).psi
    assert psi is not None and isinstance(psi.skip, Affine)
    centred = [side - side.mean(0) for side in (pairs.new_rows(), pairs.old_rows())]
    known, _ = orthogonal_procrustes(*centred)
    np.testing.assert_allclose(psi.skip.weight, known, atol=1e-4)
    np.testing.assert_allclose(
        psi.raw(pairs.new_rows()).mean(0), pairs.old_rows().mean(0), atol=1e-5
    )


@pytest.mark.parametrize(
    ("fit", "side"), [(fit_ridge, Side.QUERY), (fit_forward_ridge, Side.ITEMS)]
)
def test_ridge_finds_an_exact_linear_map(fit: object, side: Side) -> None:
    new = rows(300, 5)
    pairs = Pairs.of(range(300), new @ rotation(5, 5), new)
    upgrade = fit(pairs, FitSettings(ridge_penalty=1e-10))  # type: ignore[operator]
    assert upgrade.side is side
    if side is Side.QUERY:
        np.testing.assert_allclose(upgrade.psi(pairs.new_rows()), pairs.old_rows(), atol=1e-5)
    else:
        np.testing.assert_allclose(upgrade.map_items(pairs.old_rows()), pairs.new_rows(), atol=1e-5)


@pytest.mark.parametrize("fit", [fit_procrustes, fit_ridge, fit_forward_ridge])
def test_maps_carry_a_seeded_sample_for_two_encoders(fit: object) -> None:
    pairs = Pairs.of(range(50), rows(50, 4), rows(50, 6))
    first = fit(pairs, FitSettings(two_encoder_weight=0.3))  # type: ignore[operator]
    again = fit(pairs, FitSettings(two_encoder_weight=0.3))  # type: ignore[operator]
    assert first.two_encoder.weight == 0.3
    assert first.two_encoder.reference_old.shape == (50, 4)
    assert first.id == again.id


def test_rank_merge_leaves_both_systems_as_they_are() -> None:
    upgrade = fit_rank_merge(Pairs.of(range(9), rows(9, 4), rows(9, 6)), SETTINGS)
    assert upgrade.side is Side.NONE
    assert upgrade.calibration.is_identity
    new, old = rows(2, 6, 5), rows(2, 4, 5)
    scores = upgrade.old_side(new, old).scores(rows(9, 4), None)
    np.testing.assert_allclose(scores, old @ rows(9, 4).T, atol=1e-6)


def test_quantile_rank_merge_puts_old_scores_on_the_new_scale() -> None:
    narrow = rows(400, 8) + 3  # a cone: all old scores are high and close together
    pairs = Pairs.of(range(400), narrow, rows(400, 8, 1))
    upgrade = fit_rank_merge_quantile(pairs, SETTINGS)
    old, new = (
        np.sort((side @ side.T)[np.triu_indices(400, k=1)])
        for side in (pairs.old_rows(), pairs.new_rows())
    )
    assert old.mean() > 0.8 > 0.1 > abs(new.mean())
    np.testing.assert_allclose(upgrade.calibration(old), new, atol=0.03)


@given(st.integers(0, 99), st.floats(0.05, 5), st.floats(-3, 3))
def test_matching_finds_a_scale_and_an_offset(seed: int, scale: float, offset: float) -> None:
    old = np.random.default_rng(seed).normal(size=500).astype(np.float32)
    matched = matching_quantiles(old, (scale * old + offset).astype(np.float32))
    np.testing.assert_allclose(matched(old), scale * old + offset, atol=1e-3 * max(1, scale))


@given(st.integers(0, 99), st.integers(2, 300), st.integers(1, 30))
def test_matched_quantiles_rise_strictly_and_meet(seed: int, n: int, distinct: int) -> None:
    rng = np.random.default_rng(seed)
    old, new = (np.round(rng.normal(size=n) * distinct).astype(np.float32) for _ in range(2))
    if old.min() == old.max() or new.min() == new.max():
        return
    try:
        matched = matching_quantiles(old, new)
    except InvalidInput:
        # Both sides vary, but never at the same level of the quantiles.
        levels = np.linspace(0, 1, 1000)
        both = (np.diff(np.quantile(old, levels)) > 0) & (np.diff(np.quantile(new, levels)) > 0)
        assert not both.all()
        return
    assert (np.diff(matched.x) > 0).all()
    assert (np.diff(matched.y) > 0).all()
    assert matched.x[0] == old.min()
    assert matched.y[0] == new.min()
    far = matched(np.array([old.min() - 5.0, old.min(), old.max(), old.max() + 5.0]))
    assert (np.diff(far) > 0).all()


@pytest.mark.parametrize("side", [0, 1])
def test_scores_that_are_all_alike_can_not_be_matched(side: int) -> None:
    samples = [np.linspace(0, 1, 50, dtype=np.float32)] * 2
    samples[side] = np.full(50, 0.5, np.float32)
    with pytest.raises(InvalidInput, match="all scores of a side are the same"):
        matching_quantiles(*samples)
