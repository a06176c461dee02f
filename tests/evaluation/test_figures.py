"""Figures of merit against curves whose answers are plain to see."""

from __future__ import annotations

import math

import pytest
from hypothesis import given
from hypothesis import strategies as st

from crossfade.errors import InvalidInput
from crossfade.evaluation.figures import Figures, area, drop, figures_of_merit

POINTS = st.lists(st.floats(0, 1), min_size=2, max_size=12)


def test_a_hand_computed_curve() -> None:
    figures = figures_of_merit([0.0, 0.5, 1.0], [0.3, 0.1, 0.9], old_old=0.2, new_new=0.8)
    assert figures == Figures(
        auc=pytest.approx(0.35),  # (0.3 + 0.1) / 4 + (0.1 + 0.9) / 4
        gain_share=pytest.approx(0.25),  # (0.35 - 0.2) / (0.8 - 0.2)
        worst_point=pytest.approx(-0.1),
        drop=pytest.approx(0.2),
        end_point=pytest.approx(0.1),
    )


def test_a_straight_line_has_half_of_the_gain() -> None:
    figures = figures_of_merit([0.0, 0.25, 1.0], [0.4, 0.5, 0.8], old_old=0.4, new_new=0.8)
    assert figures.gain_share == pytest.approx(0.5)
    assert figures.worst_point == figures.drop == figures.end_point == 0.0


def test_the_drop_is_the_deepest_fall_to_any_later_point() -> None:
    assert drop([0.5, 0.7, 0.6, 0.65, 0.2, 0.9, 0.6]) == pytest.approx(0.5)
    assert drop([0.1, 0.2, 0.2, 0.9]) == 0.0


def test_two_equal_models_have_no_gain_to_share() -> None:
    figures = figures_of_merit([0.0, 1.0], [0.5, 0.5], old_old=0.5, new_new=0.5)
    assert math.isnan(figures.gain_share)
    assert figures.worst_point == figures.end_point == 0.0


def test_the_gain_share_of_a_worse_model_counts_the_loss() -> None:
    figures = figures_of_merit([0.0, 1.0], [0.8, 0.6], old_old=0.8, new_new=0.6)
    assert figures.gain_share == pytest.approx(0.5)


@given(POINTS)
def test_the_area_lies_between_the_lowest_and_the_highest_point(values: list[float]) -> None:
    coverage = [step / (len(values) - 1) for step in range(len(values))]
    assert min(values) - 1e-9 <= area(coverage, values) <= max(values) + 1e-9


@given(POINTS)
def test_the_drop_agrees_with_the_slow_loop(values: list[float]) -> None:
    falls = [first - later for i, first in enumerate(values) for later in values[i + 1 :]]
    assert drop(values) == pytest.approx(max(0.0, *falls))


@pytest.mark.parametrize(
    ("coverage", "values", "message"),
    [
        ([0.0], [0.5], "at least two points"),
        ([0.0, 1.0], [0.5], "at least two points"),
        ([0.0, 0.9], [0.5, 0.6], "rise from 0 to 1, got 0.0 to 0.9"),
        ([0.0, 0.7, 0.6, 1.0], [0.1] * 4, "rise from 0 to 1"),
    ],
)
def test_half_a_curve_is_refused(coverage: list[float], values: list[float], message: str) -> None:
    with pytest.raises(InvalidInput, match=message):
        area(coverage, values)
