"""What a log of queries teaches: its loss and its slope, against slow loops."""

from __future__ import annotations

import math
from dataclasses import replace

import numpy as np
import pytest

from crossfade.embeddings import unit_rows
from crossfade.upgrade.log_ranking import _Lists

TAU = 0.05


def some_lists(seed: int = 0, queries: int = 5, items: int = 9, width: int = 6) -> _Lists:
    rng = np.random.default_rng(seed)
    return _Lists(
        unit_rows(rng.normal(size=(items, width))).astype(np.float64),
        unit_rows(rng.normal(size=(queries, width))).astype(np.float64),
        rng.normal(scale=0.3, size=(queries, items)),
        rng.normal(scale=0.1, size=items),
        rng.normal(scale=0.1, size=(queries, items)),
        rng.random((queries, items)) < 0.4,
        1.04,
    )


def slow_loss(lists: _Lists, matrix: np.ndarray) -> float:
    """L, one score after the other."""
    total = 0.0
    for row, query in enumerate(lists.queries.tolist()):
        scores = []
        for item, image in enumerate(lists.images):
            turned = image + image @ matrix
            f = (turned / math.sqrt(sum(x * x for x in turned))).tolist()
            if lists.is_backfilled[row, item]:
                scores.append(lists.real[row, item] + lists.backfilled[row, item])
            else:
                similar = sum(x * y for x, y in zip(query, f, strict=True))
                scores.append(lists.stretch * similar + lists.waiting[item])
        student, teacher = (
            [math.exp(score / TAU) for score in of] for of in (scores, lists.real[row])
        )
        for t, s in zip(teacher, student, strict=True):
            total -= t / sum(teacher) * math.log(s / sum(student))
    return total / len(lists.queries)


@pytest.mark.parametrize("seed", range(3))
def test_the_loss_is_that_of_the_lists_as_they_are_searched(seed: int) -> None:
    lists = some_lists(seed)
    matrix = np.random.default_rng([seed, 1]).normal(scale=0.3, size=(6, 6))
    assert lists.loss(matrix) == pytest.approx(slow_loss(lists, matrix), rel=1e-9)


@pytest.mark.parametrize("seed", range(3))
def test_the_slope_is_that_of_the_loss(seed: int) -> None:
    lists = some_lists(seed)
    matrix = np.random.default_rng([seed, 1]).normal(scale=0.3, size=(6, 6))
    slope, step = lists.slope(matrix), 1e-6
    for at in np.ndindex(6, 6):
        moved = np.zeros((6, 6))
        moved[at] = step
        rise = (lists.loss(matrix + moved) - lists.loss(matrix - moved)) / (2 * step)
        assert slope[at] == pytest.approx(rise, abs=1e-4)


def test_what_is_backfilled_everywhere_teaches_nothing() -> None:
    lists = replace(some_lists(), is_backfilled=np.ones((5, 9), np.bool_))
    assert not lists.slope(np.zeros((6, 6))).any()
