"""Ranked lists item for item: each item's grade is its own number, so a list can be read."""

from __future__ import annotations

import numpy as np
from hypothesis import given
from hypothesis import strategies as st
from hypothesis.extra.numpy import arrays
from numpy.typing import NDArray

from crossfade.evaluation.metrics import RankedRelevance
from crossfade.evaluation.ranking import rank_merged, rank_plain, turning_steps

SCORE = st.one_of(
    st.sampled_from([0.0, -0.0, 1.0, -1.0, np.inf, -np.inf, 1e-45, -1e-45]),
    st.floats(width=32, allow_nan=False),
)


def numbered(b: int, n: int) -> NDArray[np.int64]:
    return np.tile(np.arange(1, n + 1), (b, 1))


def listed(ranked: RankedRelevance, b: int) -> list[list[int]]:
    """The columns of each list, best first; every rank is taken once."""
    n = len(ranked.rank) // b
    assert ranked.rank.reshape(b, n).tolist() == [list(range(1, n + 1))] * b
    return [[grade - 1 for grade in row] for row in ranked.grade.reshape(b, n).tolist()]


def by_hand(scores: NDArray[np.float32]) -> list[int]:
    return sorted(range(len(scores)), key=lambda column: (-float(scores[column]), column))


@given(st.data(), st.integers(1, 3), st.integers(1, 9), st.integers(2, 5))
def test_the_list_of_every_step_is_the_sorted_one_item_for_item(
    data: st.DataObject, b: int, n: int, steps: int
) -> None:
    new, old = (data.draw(arrays(np.float32, (b, n), elements=SCORE)) for _ in range(2))
    order = np.array(data.draw(st.permutations(range(n))))
    backfilled = np.rint(np.linspace(0, n, steps)).astype(np.intp)
    turning = turning_steps(order, backfilled)
    lists = rank_merged(new, old, numbered(b, n), turning, steps)
    for moved, ranked in zip(backfilled, lists, strict=True):
        merged = old.copy()
        merged[:, order[:moved]] = new[:, order[:moved]]
        assert listed(ranked, b) == [by_hand(row) for row in merged]


@given(st.data(), st.integers(1, 3), st.integers(1, 9))
def test_at_the_ends_the_list_is_a_plain_search_item_for_item(
    data: st.DataObject, b: int, n: int
) -> None:
    new, old = (data.draw(arrays(np.float32, (b, n), elements=SCORE)) for _ in range(2))
    grades = numbered(b, n)
    turning = turning_steps(np.arange(n), np.array([0, n]))
    first, last = rank_merged(new, old, grades, turning, 2)
    assert listed(first, b) == listed(rank_plain(old, grades), b)
    assert listed(last, b) == listed(rank_plain(new, grades), b)


def test_columns_turn_at_the_first_step_that_reaches_them() -> None:
    turning = turning_steps(np.array([2, 0, 3, 1]), np.array([0, 1, 1, 4]))
    assert turning.tolist() == [3, 3, 1, 3]


def test_more_steps_than_a_byte_can_count() -> None:
    turning = turning_steps(np.arange(300), np.arange(301))
    assert turning.tolist() == list(range(1, 301))
