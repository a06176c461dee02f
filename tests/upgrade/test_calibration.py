"""The map of old-side scores: strictly increasing everywhere, clipping nothing."""

from __future__ import annotations

from itertools import pairwise

import numpy as np
import pytest
from hypothesis import assume, given
from hypothesis import strategies as st
from random_upgrades import calibrations

from crossfade.errors import InvalidInput
from crossfade.upgrade import Calibration

SCORES = st.floats(-4, 4, width=32)


def slow(calibration: Calibration, score: float) -> float:
    """The line through the two knots around the score, or the nearest two."""
    knots = list(zip(calibration.x, calibration.y, strict=True))
    pieces = list(pairwise(knots))
    (x0, y0), (x1, y1) = next((p for p in pieces if score < p[1][0]), pieces[-1])
    return y0 + (y1 - y0) / (x1 - x0) * (score - x0)


@given(st.lists(SCORES, max_size=5))
def test_the_identity_changes_no_bit(scores: list[float]) -> None:
    given_scores = np.array(scores, np.float32)
    assert Calibration().is_identity
    assert Calibration()(given_scores).tobytes() == given_scores.tobytes()


@given(calibrations(), SCORES)
def test_scores_lie_on_the_lines_between_the_knots_and_beyond(
    calibration: Calibration, score: float
) -> None:
    assert not calibration.is_identity
    out = calibration(np.array([score], np.float32))[0]
    assert out == pytest.approx(slow(calibration, score), rel=1e-5, abs=1e-5)


@given(calibrations())
def test_knots_map_to_knots(calibration: Calibration) -> None:
    np.testing.assert_allclose(calibration(np.array(calibration.x)), calibration.y, atol=1e-6)


@given(calibrations(), SCORES, SCORES)
def test_a_higher_score_stays_higher_within_and_beyond_the_knots(
    calibration: Calibration, a: float, b: float
) -> None:
    # Closer scores than this may meet in float32 where the slope is gentle.
    assume(abs(a - b) > 0.01)
    low, high = calibration(np.array([min(a, b), max(a, b)]))
    assert low < high


@given(calibrations(), st.lists(SCORES, min_size=2, max_size=30))
def test_no_two_scores_ever_change_places(calibration: Calibration, scores: list[float]) -> None:
    out = calibration(np.sort(np.array(scores, np.float32)))
    assert (np.diff(out) >= 0).all()


@given(calibrations())
def test_nothing_is_clipped(calibration: Calibration) -> None:
    far = calibration(np.array([-1e3, -1e2, 1e2, 1e3]))
    assert (np.diff(far) > 0).all()


def test_scores_of_any_shape_come_out_as_float32_of_that_shape() -> None:
    calibration = Calibration.affine(2.0, 1.0)
    for shape in ((), (0,), (3,), (2, 3), (2, 0), (2, 3, 4)):
        out = calibration(np.full(shape, 0.25, np.float32))
        assert out.shape == shape
        assert out.dtype == np.float32
        assert (out == 1.5).all()


@given(st.floats(0.01, 100), st.floats(-10, 10), SCORES)
def test_a_scale_and_an_offset(scale: float, offset: float, score: float) -> None:
    out = float(Calibration.affine(scale, offset)(np.array(score)))
    assert out == pytest.approx(scale * score + offset, rel=1e-5, abs=1e-4)


@pytest.mark.parametrize(
    ("x", "y"),
    [
        ((0.0,), (0.0,)),
        ((0.0, 1.0), (0.0,)),
        ((), (1.0, 2.0)),
        ((0.0, 0.0), (0.0, 1.0)),
        ((0.0, 1.0), (1.0, 1.0)),
        ((1.0, 0.0), (0.0, 1.0)),
        ((0.0, 1.0), (1.0, 0.0)),
        ((0.0, float("nan")), (0.0, 1.0)),
        ((0.0, 1.0), (0.0, float("inf"))),
    ],
)
def test_knots_that_do_not_rise_are_refused(x: tuple[float, ...], y: tuple[float, ...]) -> None:
    with pytest.raises(InvalidInput, match="calibration"):
        Calibration(x, y)


@pytest.mark.parametrize("scale", [0.0, -1.0])
def test_a_scale_that_turns_ranks_around_is_refused(scale: float) -> None:
    with pytest.raises(InvalidInput, match="strictly increasing"):
        Calibration.affine(scale, 0.5)


@given(st.just(Calibration()) | calibrations())
def test_its_description_restores_it(calibration: Calibration) -> None:
    assert Calibration.restore(calibration.describe()) == calibration
