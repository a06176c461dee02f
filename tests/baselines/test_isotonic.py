"""Isotonic calibration against scikit-learn's, and strictly rising where that one is flat."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from sklearn.isotonic import IsotonicRegression

from crossfade import Pairs
from crossfade.baselines.isotonic import (
    isotonic_calibration,
    pool_adjacent_violators,
    with_isotonic_calibration,
)
from crossfade.errors import InvalidInput
from crossfade.fit.ridge import fit_ridge
from crossfade.fit.settings import FitSettings
from crossfade.testing.worlds import make_world
from crossfade.upgrade import Calibration

PAIRS = make_world(items=200, queries=0).gallery


def blocks_as_values(starts: np.ndarray, levels: np.ndarray, m: int) -> np.ndarray:
    return np.repeat(levels, np.diff([*starts, m]))


@given(st.integers(0, 2**16), st.integers(1, 60))
def test_pooling_is_scikit_learns(seed: int, m: int) -> None:
    rng = np.random.default_rng(seed)
    y, weight = rng.normal(size=m).round(1) + 0.02 * np.arange(m), rng.integers(1, 5, m)
    starts, levels = pool_adjacent_violators(y, weight.astype(float))
    known = IsotonicRegression().fit_transform(np.arange(m), y, sample_weight=weight)
    np.testing.assert_allclose(blocks_as_values(starts, levels, m), known, atol=1e-9)
    assert (np.diff(levels) > 0).all()


def test_pooling_by_hand() -> None:
    starts, levels = pool_adjacent_violators(np.array([1.0, 3.0, 2.0, 4.0]), np.ones(4))
    assert starts.tolist() == [0, 1, 3]
    assert levels.tolist() == [1.0, 2.5, 4.0]


@given(st.integers(0, 2**16), st.integers(2, 80))
def test_at_the_centres_of_its_blocks_it_is_near_the_known_fit(seed: int, m: int) -> None:
    rng = np.random.default_rng(seed)
    x = np.sort(rng.normal(size=m).round(2))
    if x[0] == x[-1]:
        return
    y = x + 0.5 * rng.normal(size=m)
    known = IsotonicRegression(out_of_bounds="clip").fit(x, y)
    ours = isotonic_calibration(x, y)
    inside = np.array(ours.x[1:-1])
    allowed = 0.02 * (y.max() - y.min()) + 1e-6
    np.testing.assert_allclose(ours.y[1:-1], known.predict(inside), atol=allowed + spread(known, x))


def spread(known: IsotonicRegression, x: np.ndarray) -> float:
    """A block's centre may lie between two of its neighbours' steps."""
    values = np.unique(known.predict(x))
    return float(np.diff(values).max(initial=0.0))


def test_no_two_scores_tie_or_change_places_where_the_steps_are_flat() -> None:
    rng = np.random.default_rng(0)
    x = np.linspace(-1, 1, 400)
    y = np.where(x < 0, 0.1, 0.9) + 0.2 * rng.normal(size=400)
    flat = np.diff(IsotonicRegression().fit(x, y).predict(x))
    far = np.linspace(-3, 3, 3_000)
    assert (flat == 0).mean() > 0.8
    assert (np.diff(isotonic_calibration(x, y)(far)) > 0).all()


def test_a_falling_relation_still_keeps_the_old_sides_order() -> None:
    x = np.linspace(0, 1, 50)
    calibrated = isotonic_calibration(x, 1 - x)(x)
    assert (np.diff(calibrated) > 0).all()
    assert np.ptp(calibrated) < 0.1


def test_a_rising_relation_is_found() -> None:
    x = np.linspace(-1, 1, 2_000)
    np.testing.assert_allclose(
        isotonic_calibration(x, np.tanh(3 * x))(x), np.tanh(3 * x), atol=0.01
    )


def test_an_upgrades_old_side_scores_come_onto_the_new_scale() -> None:
    upgrade = fit_ridge(PAIRS, FitSettings())
    calibrated = with_isotonic_calibration(upgrade, PAIRS)
    assert calibrated.method == "ridge+isotonic"
    old, new = PAIRS.old_rows(), PAIRS.new_rows()
    wanted = new @ new.T

    def miss(one: object) -> float:
        found = one.old_side(new).scores(old, None)  # type: ignore[attr-defined]
        return float(((found - wanted) ** 2).mean())

    assert miss(calibrated) < miss(upgrade)
    again = with_isotonic_calibration(replace(upgrade, calibration=Calibration.affine(2, 1)), PAIRS)
    assert again.calibration == calibrated.calibration


def test_too_few_pairs_and_equal_scores_are_refused() -> None:
    upgrade = fit_ridge(PAIRS, FitSettings())
    with pytest.raises(InvalidInput, match="at least 3 pairs, got 2"):
        with_isotonic_calibration(upgrade, PAIRS.subset([0, 1]))
    alike = Pairs.of(range(9), np.ones((9, 12)), np.ones((9, 20)))
    with pytest.raises(InvalidInput, match="all the same"):
        with_isotonic_calibration(upgrade, alike)
