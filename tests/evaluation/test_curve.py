"""The curve from scores against a reference that sorts the whole gallery at every step."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from numpy.typing import NDArray

from crossfade.errors import InvalidInput
from crossfade.evaluation.curve import BackfillingCurve, Scores, coverage_grid, curve_from_scores
from crossfade.evaluation.metrics import METRICS, RankedRelevance
from crossfade.evaluation.relevance import GradedRelevance

_MATRICES = ("new", "old", "new_new", "old_old")


@dataclass(frozen=True, eq=False)
class World:
    """Scores of both sides and both models, grades, own items, and an order."""

    scores: Scores
    relevance: GradedRelevance
    order: NDArray[np.intp]

    def curve(self, steps: int, chunk_queries: int | None = None) -> BackfillingCurve:
        return curve_from_scores(
            lambda rows: Scores(*(getattr(self.scores, name)[rows] for name in _MATRICES)),
            self.relevance,
            self.order,
            coverage_grid(steps),
            chunk_queries=chunk_queries,
        )


@st.composite
def worlds(draw: st.DrawFn) -> World:
    """Few distinct scores, both zeros among them, so that ties are everywhere."""
    q, n = draw(st.integers(1, 5)), draw(st.integers(2, 12))
    generator = np.random.default_rng(draw(st.integers(0, 2**32 - 1)))
    values = np.array([-1.5, -0.25, -0.0, 0.0, 1e-30, 0.5, 0.75], dtype=np.float32)
    matrices = [generator.choice(values, (q, n)) for _ in range(4)]
    grades = generator.choice([0, 0, 1, 2], (q, n))
    own = generator.choice(np.append(np.arange(n), -1), q)
    grades[np.arange(q), (own + 1) % n] = 1  # every query has something to find
    return World(Scores(*matrices), GradedRelevance.of(grades, own), generator.permutation(n))


def reference(scores: NDArray[np.float32], grades: NDArray[np.uint8], own: int) -> dict[str, float]:
    """The metrics of one list, ranked with Python's own sort."""
    ranked = sorted(range(len(scores)), key=lambda column: (-float(scores[column]), column))
    listed = RankedRelevance.of([[grades[column] for column in ranked if column != own]])
    return {name: float(metric(listed)[0]) for name, metric in METRICS.items()}


@given(worlds(), st.integers(2, 6))
def test_every_step_agrees_with_a_sort_of_the_whole_gallery(world: World, steps: int) -> None:
    curve = world.curve(steps)
    grades = world.relevance.grades(np.arange(len(world.relevance.own)))
    n = grades.shape[1]
    for at, query in enumerate(curve.queries):
        own = int(world.relevance.own[query])
        for step, coverage in enumerate(curve.coverage):
            merged = world.scores.old[query].copy()
            moved = world.order[: round(coverage * n)]
            merged[moved] = world.scores.new[query][moved]
            for name, wanted in reference(merged, grades[query], own).items():
                assert curve.merged[name][step, at] == pytest.approx(wanted), (name, step)
        for cell, plain in (
            (curve.old_old, world.scores.old_old),
            (curve.new_new, world.scores.new_new),
        ):
            for name, wanted in reference(plain[query], grades[query], own).items():
                assert cell[name][at] == pytest.approx(wanted), name


@given(worlds(), st.integers(1, 4))
def test_the_curve_does_not_depend_on_the_chunks(world: World, chunk: int) -> None:
    whole, chunked = world.curve(3), world.curve(3, chunk_queries=chunk)
    for name in METRICS:
        assert np.array_equal(whole.merged[name], chunked.merged[name])
        assert np.array_equal(whole.old_old[name], chunked.old_old[name])
        assert np.array_equal(whole.new_new[name], chunked.new_new[name])


@given(worlds())
def test_the_ends_are_the_two_sides_alone(world: World) -> None:
    s = world.scores
    ends = World(Scores(s.new, s.old, s.new, s.old), world.relevance, world.order).curve(4)
    for name in METRICS:
        assert np.array_equal(ends.merged[name][0], ends.old_old[name])
        assert np.array_equal(ends.merged[name][-1], ends.new_new[name])


def one_query(new: list[float], old: list[float], relevant: int) -> World:
    """A gallery that is backfilled from the left, one relevant item."""
    fresh, stale = (np.array([row], dtype=np.float32) for row in (new, old))
    grades = np.zeros((1, len(new)), dtype=np.uint8)
    grades[0, relevant] = 1
    return World(
        Scores(fresh, stale, fresh, stale), GradedRelevance.of(grades), np.arange(len(new))
    )


def test_a_hand_computed_curve() -> None:
    world = one_query(new=[0.9, 0.1, 0.2], old=[0.3, 0.8, 0.5], relevant=0)
    curve = world.curve(4)
    # old: items 1, 2, 0; with item 0 moved: 0, 1, 2, and so on to the end
    assert curve.mean("mrr").tolist() == [pytest.approx(1 / 3), 1.0, 1.0, 1.0]
    assert curve.mean("cmc@1").tolist() == [0.0, 1.0, 1.0, 1.0]
    assert curve.figures("mrr").worst_point == 0.0


def test_negative_flips_count_what_the_old_system_had_right() -> None:
    world = one_query(new=[0.1, 0.2, 0.9], old=[0.3, 0.5, 0.8], relevant=2)
    worse = World(
        Scores(world.scores.new - 1, world.scores.old, world.scores.new, world.scores.old),
        world.relevance,
        np.array([2, 0, 1]),
    )
    curve = worse.curve(4)
    assert curve.mean("cmc@1").tolist() == [1.0, 0.0, 0.0, 1.0]
    assert curve.negative_flips().tolist() == [0.0, 1.0, 1.0, 0.0]
    assert curve.negative_flips_consecutive().tolist() == [0.0, 1.0, 0.0, 0.0]


def test_queries_without_a_relevant_item_are_left_out() -> None:
    scores = np.zeros((3, 2), dtype=np.float32)
    world = World(
        Scores(scores, scores, scores, scores),
        GradedRelevance.of([[0, 0], [1, 0], [0, 1]], np.array([-1, 0, -1])),
        np.arange(2),
    )
    curve = world.curve(2)
    assert curve.queries.tolist() == [2]
    assert curve.merged["map"].shape == (2, 1)


def test_nothing_relevant_at_all_is_refused() -> None:
    scores = np.zeros((2, 2), dtype=np.float32)
    world = World(
        Scores(scores, scores, scores, scores),
        GradedRelevance.of(np.eye(2, dtype=np.int64), np.arange(2)),
        np.arange(2),
    )
    with pytest.raises(InvalidInput, match="no query has a relevant gallery item"):
        world.curve(2)


@pytest.mark.parametrize("place", range(4))
def test_scores_that_are_no_numbers_are_refused(place: int) -> None:
    matrices = [np.zeros((1, 2), dtype=np.float32) for _ in range(4)]
    matrices[place][0, 1] = np.nan
    world = World(Scores(*matrices), GradedRelevance.of([[1, 0]]), np.arange(2))
    with pytest.raises(InvalidInput, match="scores hold NaN"):
        world.curve(2)


def test_progress_ends_with_all_queries() -> None:
    scores = np.zeros((5, 2), dtype=np.float32)
    seen = []
    curve_from_scores(
        lambda rows: Scores(scores[rows], scores[rows], scores[rows], scores[rows]),
        GradedRelevance.of(np.ones((5, 2), dtype=np.int64)),
        np.arange(2),
        coverage_grid(2),
        chunk_queries=2,
        on_progress=lambda done, total: seen.append((done, total)),
    )
    assert seen == [(2, 5), (4, 5), (5, 5)]


def test_the_coverage_grid_is_even_and_clean() -> None:
    assert coverage_grid(11).tolist() == [0.0, 0.1, 0.2, 0.3, 0.4, 0.5, 0.6, 0.7, 0.8, 0.9, 1.0]
    assert coverage_grid(2).tolist() == [0.0, 1.0]


@pytest.mark.parametrize("steps", [1, 0, -3])
def test_a_curve_of_fewer_than_two_steps_is_refused(steps: int) -> None:
    with pytest.raises(InvalidInput, match="wanted at least 2"):
        coverage_grid(steps)
