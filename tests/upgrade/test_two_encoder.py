"""Two views of an item on one scale, against the formula written out in slow loops."""

from __future__ import annotations

import statistics

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from crossfade.errors import InvalidInput
from crossfade.upgrade import TwoEncoder

RNG = np.random.default_rng(0)
SAMPLE = RNG.normal(size=(30, 4)).astype(np.float32)


def scores(q: int, n: int, seed: int = 0) -> np.ndarray:
    return np.random.default_rng(seed).normal(0.4, 0.2, size=(q, n)).astype(np.float32)


def slow_combined(
    weight: float, sample: tuple[list[float], list[float]], item: tuple[float, float]
) -> float:
    """s = mean_m + std_m * z / std(z)^0.75 with z = (1 - w) z_m + w z_o, for one query."""
    means = [statistics.fmean(view) for view in sample]
    deviations = [statistics.pstdev(view) for view in sample]

    def mixed(mapped: float, old: float) -> float:
        z_mapped = (mapped - means[0]) / deviations[0]
        z_old = (old - means[1]) / deviations[1]
        return (1 - weight) * z_mapped + weight * z_old

    spread = statistics.pstdev(mixed(m, o) for m, o in zip(*sample, strict=True))
    return means[0] + deviations[0] * mixed(*item) / spread**0.75


@given(st.floats(0, 1), st.integers(0, 99))
def test_the_combined_score_is_what_slow_loops_compute(weight: float, seed: int) -> None:
    sample = scores(2, 30, seed), scores(2, 30, seed + 1)
    mapped, old = scores(2, 5, seed + 2), scores(2, 5, seed + 3)
    out = TwoEncoder(weight, SAMPLE).combiner(*sample)(mapped, old)
    assert out.dtype == np.float32
    for query in range(2):
        views = sample[0][query].tolist(), sample[1][query].tolist()
        for item in range(5):
            both = float(mapped[query, item]), float(old[query, item])
            assert out[query, item] == pytest.approx(
                slow_combined(weight, views, both), rel=1e-3, abs=1e-4
            )


def test_weight_zero_is_the_mapped_score_and_weight_one_ranks_as_the_old_one() -> None:
    sample = scores(3, 30, 1), scores(3, 30, 2)
    mapped, old = scores(3, 50, 3), scores(3, 50, 4)
    alone = TwoEncoder(0.0, SAMPLE).combiner(*sample)(mapped, old)
    np.testing.assert_allclose(alone, mapped, atol=1e-5)
    old_alone = TwoEncoder(1.0, SAMPLE).combiner(*sample)(mapped, old)
    np.testing.assert_array_equal(np.argsort(old_alone), np.argsort(old))


@given(st.floats(0.05, 0.95), st.integers(0, 99))
def test_the_score_rises_with_either_view(weight: float, seed: int) -> None:
    combine = TwoEncoder(weight, SAMPLE).combiner(scores(1, 30, seed), scores(1, 30, seed + 1))
    base, low = scores(1, 4, seed + 2), scores(1, 4, seed + 3)
    assert (combine(base + 0.1, low) > combine(base, low)).all()
    assert (combine(base, low + 0.1) > combine(base, low)).all()


@given(st.floats(0, 1), st.floats(0.01, 100), st.floats(-5, 5))
def test_the_old_models_own_scale_does_not_matter(
    weight: float, scale: float, offset: float
) -> None:
    rule = TwoEncoder(weight, SAMPLE)
    mapped, old, sample = scores(2, 6, 1), scores(2, 6, 2), (scores(2, 30, 3), scores(2, 30, 4))
    plain = rule.combiner(*sample)(mapped, old)
    scaled = rule.combiner(sample[0], sample[1] * scale + offset)(mapped, old * scale + offset)
    np.testing.assert_allclose(scaled, plain, atol=0.02)


def test_a_query_to_which_all_items_are_alike_has_finite_scores() -> None:
    flat = np.full((1, 30), 0.5, np.float32)
    for weight in (0.0, 0.4, 1.0):
        out = TwoEncoder(weight, SAMPLE).combiner(flat, flat)(scores(1, 5), scores(1, 5))
        assert np.isfinite(out).all()


@pytest.mark.parametrize("weight", [-0.1, 1.1, float("nan")])
def test_a_share_is_between_nothing_and_all(weight: float) -> None:
    with pytest.raises(InvalidInput, match="wanted 0 to 1"):
        TwoEncoder(weight, SAMPLE)


@pytest.mark.parametrize("rows", [0, 1])
def test_a_scale_needs_two_items(rows: int) -> None:
    with pytest.raises(InvalidInput, match=f"sample has {rows} rows"):
        TwoEncoder(0.5, SAMPLE[:rows])
