"""Merges against slow loops and by hand; what each does at the ends."""

from __future__ import annotations

import math

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from crossfade.baselines.merges import (
    MERGES,
    merge_named,
    merge_raw,
    merge_rrf,
    merge_z_score,
)
from crossfade.errors import InvalidInput


def lists(seed: int, b: int = 3, n: int = 9) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    rng = np.random.default_rng(seed)
    new, old = rng.normal(size=(2, b, n)).round(1).astype(np.float32)
    own = rng.integers(0, n, b)
    new[range(b), own] = old[range(b), own] = -np.inf
    return new, old, rng.random(n) < rng.random()


def slow(name: str, new: np.ndarray, old: np.ndarray, backfilled: np.ndarray) -> list[float]:
    """One query: every item against the other items of its side."""
    out = []
    for item in range(len(new)):
        scores = new if backfilled[item] else old
        mates = [
            float(scores[j])
            for j in range(len(new))
            if backfilled[j] == backfilled[item] and np.isfinite(scores[j])
        ]
        own = float(scores[item])
        if own == -math.inf or name == "raw":
            out.append(own)
        elif name == "z_score":
            mean = sum(mates) / len(mates)
            deviation = math.sqrt(sum((mate - mean) ** 2 for mate in mates) / len(mates))
            out.append((own - mean) / max(deviation, 1e-6))
        else:
            before = sum(mate > own for mate in mates)
            before += sum(
                backfilled[j] == backfilled[item] and scores[j] == own for j in range(item)
            )
            out.append(1 / (60 + before + 1))
    return out


@pytest.mark.parametrize("name", MERGES)
@given(st.integers(0, 2**16))
def test_a_merge_is_what_slow_loops_compute(name: str, seed: int) -> None:
    new, old, backfilled = lists(seed)
    merged = MERGES[name](new, old, backfilled)
    assert merged.dtype == np.float32
    for query in range(len(new)):
        wanted = slow(name, new[query], old[query], backfilled)
        np.testing.assert_allclose(merged[query], wanted, rtol=1e-4, atol=1e-4)


def test_reciprocal_ranks_by_hand() -> None:
    new, old = np.array([[0.9, 0.1, 0.5]], np.float32), np.array([[0.2, 0.4, 0.3]], np.float32)
    merged = merge_rrf(new, old, np.array([True, False, True]))
    np.testing.assert_allclose(merged, [[1 / 61, 1 / 61, 1 / 62]], rtol=1e-6)


def test_each_side_gets_half_of_the_list_of_reciprocal_ranks() -> None:
    rng = np.random.default_rng(0)
    new, old = rng.random((1, 100), np.float32), rng.random((1, 100), np.float32)
    backfilled = np.arange(100) < 10
    best = np.argsort(-merge_rrf(new, old, backfilled)[0], kind="stable")[:20]
    assert backfilled[best].sum() == 10


def test_z_scores_do_not_see_scale_and_offset_of_a_side() -> None:
    new, old, _ = lists(3)
    backfilled = np.arange(9) < 4
    moved = merge_z_score(new, 0.1 * old + 7, backfilled)
    np.testing.assert_allclose(moved, merge_z_score(new, old, backfilled), atol=1e-3)
    assert not np.allclose(merge_raw(new, old, backfilled), merge_raw(new, 0.1 * old, backfilled))


@pytest.mark.parametrize("name", MERGES)
@pytest.mark.parametrize("all_new", [True, False])
@given(st.integers(0, 2**16))
def test_a_list_of_one_side_keeps_its_order(name: str, all_new: bool, seed: int) -> None:
    new, old, _ = lists(seed)
    merged = MERGES[name](new, old, np.full(9, all_new))
    for query, plain in enumerate(new if all_new else old):
        ranked = np.argsort(-merged[query], kind="stable")
        assert ranked.tolist() == np.argsort(-plain, kind="stable").tolist()


@pytest.mark.parametrize("name", MERGES)
def test_a_side_of_one_item_and_of_none_is_merged(name: str) -> None:
    new, old, _ = lists(1)
    for count in (0, 1, 8, 9):
        assert not np.isnan(MERGES[name](new, old, np.arange(9) < count)).any()


def test_an_unknown_merge_is_refused_with_the_known_ones() -> None:
    with pytest.raises(InvalidInput, match="'best'; choose one of raw, z_score, rrf, isotonic"):
        merge_named("best")
