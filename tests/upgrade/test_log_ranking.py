"""What a log of queries teaches: its loss and its slope, against slow loops."""

from __future__ import annotations

import math
from dataclasses import replace

import numpy as np
import pytest

from crossfade.embeddings import QueryLog, unit_rows
from crossfade.upgrade import BY_ITEMS, ItemOffset, offset_of, rule_for_log, with_matrix
from crossfade.upgrade.log_ranking import (
    Images,
    _Drawn,
    _learned,
    _Lists,
    _offsets,
    learned_matrix,
)
from crossfade.upgrade.offset_rules import OffsetRule

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


def some_images(n: int, width: int, seed: int = 0, apart: float = 0.5) -> Images:
    rng = np.random.default_rng(seed)
    new = unit_rows(rng.normal(size=(n, width)))
    raw = np.asarray(new + apart * unit_rows(rng.normal(size=(n, width))), dtype=np.float32)
    return Images(unit_rows(rng.normal(size=(n, 6))), new, raw, unit_rows(raw))


def offset_like(images: Images, rule: OffsetRule | None = None) -> ItemOffset:
    return offset_of(
        rule or rule_for_log(QueryLog(images.new), lengths_mean_something=True),
        images,
        images.new[:40],
        None,
        mean=np.zeros(images.new.shape[1], np.float32),
        doubt=0.5,
    )


def test_what_is_learned_in_the_end_is_learned_from_all_queries() -> None:
    plain, rng = some_images(120, 12), np.random.default_rng(1)
    bent = np.asarray(plain.new * np.repeat([1.0, 0.3], 6), np.float32)
    images = replace(plain, raw=bent, mapped=unit_rows(bent))
    queries = unit_rows(images.new + 0.1 * rng.normal(size=images.new.shape))
    offset = offset_like(images)
    found = learned_matrix(images, queries, offset, seed=3)
    assert found is not None
    lists = _Drawn(images, *_offsets(images, offset), 1.0 + offset.push)
    np.testing.assert_array_equal(found, _learned(lists, queries, 3, lambda: False))


def test_backfilled_items_score_in_its_lists_as_a_search_scores_them() -> None:
    images = some_images(50, 12)
    offset = offset_like(images)
    assert offset.new_side == 1.0
    waiting, backfilled = _offsets(images, offset)
    weights = offset.one_encoder
    np.testing.assert_allclose(backfilled, weights.v * offset.of_new(images.new), atol=1e-6)
    terms = offset.of(images.old, images.mapped, images.raw)
    np.testing.assert_allclose(waiting, terms @ np.array(weights), atol=1e-6)


@pytest.mark.parametrize(("width", "rate"), [(16, 3e-4), (384, 3e-4), (768, 1.5e-4)])
def test_wide_matrices_learn_more_slowly(
    width: int, rate: float, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("crossfade.upgrade.log_ranking._STEPS", 1)
    monkeypatch.setattr("crossfade.upgrade.log_ranking._TINY", 1e-20)
    images = some_images(60, width)
    lists = _Drawn(images, *np.zeros((2, 60), np.float32), 1.0)
    matrix = _learned(lists, images.new, 0, lambda: False)
    # Adam's first step is the rate itself, whatever the slope.
    assert np.abs(matrix).max() == pytest.approx(rate, rel=0.01)


@pytest.mark.parametrize(("apart", "share"), [(0.9, 1.0), (0.3, 0.3)])
def test_a_map_that_is_nearly_right_needs_less_of_it(apart: float, share: float) -> None:
    images = some_images(500, 40, apart=apart)
    matrix = np.eye(40, dtype=np.float32)
    distilled = with_matrix(offset_like(images), matrix, images).distilled
    assert distilled is not None
    assert distilled[0, 0] == pytest.approx(share, abs=0.1)
    assert with_matrix(offset_like(images), None, images).distilled is None


@pytest.mark.parametrize(
    ("apart", "by_items", "by_queries"), [(0.9, 1, 1), (0.4, 0.05, 0.52), (0.3, 0, 0.3)]
)
def test_a_map_that_leaves_hardly_anything_over_has_no_offsets_told_by_items(
    apart: float, by_items: float, by_queries: float
) -> None:
    images = some_images(500, 40, apart=apart)
    for rule, share in ((BY_ITEMS, by_items), (None, by_queries)):
        whole = rule or rule_for_log(QueryLog(images.new), lengths_mean_something=True)
        offset = offset_like(images, rule)
        assert offset.one_encoder.u == pytest.approx(share * whole.one_encoder.u, abs=0.03)
        assert offset.push == pytest.approx(share * whole.push, abs=0.005)
    assert offset_like(some_images(500, 40, apart=0.2), BY_ITEMS).is_blank
