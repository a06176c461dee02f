"""Two models' views of an item on one scale, against the formula written out in slow loops."""

from __future__ import annotations

import statistics

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from crossfade.errors import InvalidInput
from crossfade.upgrade.two_encoder import Combiner, SampleScores, TwoEncoder

RNG = np.random.default_rng(0)
OLD = RNG.normal(size=(400, 4)).astype(np.float32)
NEW = RNG.normal(size=(400, 6)).astype(np.float32)


def scores(q: int, n: int, seed: int = 0) -> np.ndarray:
    return np.random.default_rng(seed).normal(0.4, 0.2, size=(q, n)).astype(np.float32)


def rule(weight: float = 0.5, new_weight: float = 0.5) -> TwoEncoder:
    return TwoEncoder(weight, new_weight, OLD, NEW)


def sample(q: int, seed: int = 0, m: int = 400) -> SampleScores:
    return SampleScores(*(scores(q, m, seed + view) for view in range(3)))


def slow_mixed(weight: float, views: list[list[float]], item: tuple[float, float]) -> float:
    """``m / tail(m)`` with ``m = (1 - w) z_first + w z_old``, for one query."""
    means = [statistics.fmean(view) for view in views]
    deviations = [statistics.pstdev(view) for view in views]

    def mixed(first: float, old: float) -> float:
        z_first = (first - means[0]) / deviations[0]
        z_old = (old - means[1]) / deviations[1]
        return (1 - weight) * z_first + weight * z_old

    over_sample = sorted(mixed(a, b) for a, b in zip(*views, strict=True))
    return mixed(*item) / statistics.fmean(over_sample[-4:])


def slow_on_new_scale(value: float, new: list[float]) -> float:
    """The new view's own tail is where it was: ``mean + tail * value``."""
    top = statistics.fmean(sorted(new)[-4:])
    mean = statistics.fmean(new)
    return mean + (top - mean) * value


@given(st.floats(0, 1), st.floats(0, 1), st.floats(0, 1), st.floats(0, 1), st.integers(0, 99))
def test_the_combined_scores_are_what_slow_loops_compute(
    weight: float, new_weight: float, coverage: float, known: float, seed: int
) -> None:
    of_sample = sample(2, seed)
    combine = Combiner(rule(weight, new_weight), of_sample, known)
    first, old = scores(2, 5, seed + 7), scores(2, 5, seed + 8)
    waiting = combine.old_side(first, old)
    moved = combine.new_side(first, old, coverage)
    assert waiting.dtype == moved.dtype == np.float32
    for query in range(2):
        mapped, olds, news = (
            view[query].tolist() for view in (of_sample.mapped, of_sample.old, of_sample.new)
        )
        for item in range(5):
            pair = float(first[query, item]), float(old[query, item])
            left = weight * (1 - known**1.5)
            reach = 1.05 ** (1 - known)
            on_old = slow_on_new_scale(reach * slow_mixed(left, [mapped, olds], pair), news)
            assert waiting[query, item] == pytest.approx(on_old, rel=1e-3, abs=1e-4)
            share = new_weight * ((1 - known) * (1 - coverage)) ** 1.5
            on_new = slow_on_new_scale(slow_mixed(share, [news, olds], pair), news)
            assert moved[query, item] == pytest.approx(on_new, rel=1e-3, abs=1e-4)


def test_at_coverage_one_the_new_score_passes_untouched() -> None:
    combine = Combiner(rule(new_weight=0.9), sample(3))
    new, old = scores(3, 50, 3), scores(3, 50, 4)
    np.testing.assert_array_equal(combine.new_side(new, old, 1.0), new)
    assert (combine.new_side(new, old, 0.99) != new).any()


def test_an_old_share_of_one_ranks_as_the_old_model_and_of_nothing_as_the_map() -> None:
    mapped, old = scores(3, 50, 3), scores(3, 50, 4)
    old_alone = Combiner(rule(1.0), sample(3)).old_side(mapped, old)
    np.testing.assert_array_equal(np.argsort(old_alone), np.argsort(old))
    map_alone = Combiner(rule(0.0), sample(3)).old_side(mapped, old)
    np.testing.assert_array_equal(np.argsort(map_alone), np.argsort(mapped))


@given(st.floats(0.05, 0.95), st.integers(0, 99))
def test_the_scores_rise_with_every_view(weight: float, seed: int) -> None:
    combine = Combiner(rule(weight, weight), sample(1, seed))
    base, low = scores(1, 4, seed + 2), scores(1, 4, seed + 3)
    assert (combine.old_side(base + 0.1, low) > combine.old_side(base, low)).all()
    assert (combine.old_side(base, low + 0.1) > combine.old_side(base, low)).all()
    assert (combine.new_side(base + 0.1, low, 0.5) > combine.new_side(base, low, 0.5)).all()
    assert (combine.new_side(base, low + 0.1, 0.5) > combine.new_side(base, low, 0.5)).all()


@given(st.floats(0, 1), st.floats(0.01, 100), st.floats(-5, 5))
def test_the_old_models_own_scale_does_not_matter(
    weight: float, scale: float, offset: float
) -> None:
    first, old, plain = scores(2, 6, 1), scores(2, 6, 2), sample(2, 3)
    stretched = SampleScores(plain.mapped, plain.old * scale + offset, plain.new)
    one, other = Combiner(rule(weight), plain), Combiner(rule(weight), stretched)
    np.testing.assert_allclose(
        other.old_side(first, old * scale + offset), one.old_side(first, old), atol=0.02
    )
    np.testing.assert_allclose(
        other.new_side(first, old * scale + offset, 0.3), one.new_side(first, old, 0.3), atol=0.02
    )


def test_both_sides_have_the_tail_of_the_new_view() -> None:
    """The lists merge: over the sample, the best of either side score alike."""
    of_sample = sample(5)
    combine = Combiner(rule(0.6, 0.4), of_sample)

    def tail(values: np.ndarray) -> np.ndarray:
        return np.asarray(np.sort(values, axis=1)[:, -4:].mean(axis=1))

    wanted = tail(of_sample.new)
    waiting = combine.old_side(of_sample.mapped, of_sample.old)
    moved = combine.new_side(of_sample.new, of_sample.old, 0.2)
    mean = of_sample.new.mean(axis=1)
    np.testing.assert_allclose(tail(waiting), mean + 1.05 * (wanted - mean), rtol=1e-4)
    np.testing.assert_allclose(tail(moved), wanted, rtol=1e-4)


def test_a_query_to_which_all_items_are_alike_has_finite_scores() -> None:
    flat = SampleScores(*[np.full((1, 400), 0.5, np.float32)] * 3)
    for weight in (0.0, 0.4, 1.0):
        combine = Combiner(rule(weight, weight), flat)
        assert np.isfinite(combine.old_side(scores(1, 5), scores(1, 5))).all()
        assert np.isfinite(combine.new_side(scores(1, 5), scores(1, 5), 0.5)).all()


@pytest.mark.parametrize("weight", [-0.1, 1.1, float("nan")])
def test_a_share_is_between_nothing_and_all(weight: float) -> None:
    with pytest.raises(InvalidInput, match=r"weight is .* wanted 0 to 1"):
        rule(weight)
    with pytest.raises(InvalidInput, match=r"new_weight is .* wanted 0 to 1"):
        rule(new_weight=weight)


@pytest.mark.parametrize(("old", "new"), [(0, 0), (1, 1), (3, 2), (2, 3)])
def test_a_sample_has_as_many_of_both_and_at_least_two(old: int, new: int) -> None:
    with pytest.raises(InvalidInput, match=f"sample has {old} old and {new} new rows"):
        TwoEncoder(0.5, 0.5, OLD[:old], NEW[:new])
