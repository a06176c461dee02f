"""How much the old model is heard beside the map."""

from __future__ import annotations

import numpy as np
import pytest

from crossfade.embeddings import Pairs
from crossfade.fit.reference import two_encoder_reference
from crossfade.fit.settings import FitSettings
from crossfade.upgrade import old_share


def pairs(n: int) -> Pairs:
    rng = np.random.default_rng(0)
    return Pairs.of(np.arange(n), rng.normal(size=(n, 4)), rng.normal(size=(n, 8)))


def test_more_pairs_a_dimension_need_less_of_the_old_model() -> None:
    shares = [old_share(ratio) for ratio in (0.01, 0.7, 2, 10, 30, 1e6)]
    assert shares == sorted(shares, reverse=True)
    assert shares[0] == 0.8 and shares[-1] == 0.5
    assert old_share(1.0) == pytest.approx(0.765)
    assert old_share(10.0) == pytest.approx(0.578)


def test_the_wider_space_counts_and_the_new_side_gets_less() -> None:
    rule = two_encoder_reference(pairs(80), FitSettings())
    assert rule is not None
    assert rule.weight == pytest.approx(old_share(10.0))
    assert rule.new_weight == pytest.approx(rule.weight - 0.3)
    chosen = two_encoder_reference(pairs(80), FitSettings(two_encoder_weight=0.1))
    assert chosen is not None
    assert (chosen.weight, chosen.new_weight) == (0.1, 0.0)


def test_the_sample_pairs_old_with_new_rows_and_follows_the_seed() -> None:
    many = pairs(3_000)
    rule = two_encoder_reference(many, FitSettings(seed=3))
    again = two_encoder_reference(many, FitSettings(seed=3))
    other = two_encoder_reference(many, FitSettings(seed=4))
    assert rule is not None and again is not None and other is not None
    assert rule.reference_old.shape == (1_000, 4) and rule.reference_new.shape == (1_000, 8)
    old, new = many.old_rows(), many.new_rows()
    rows = [int(np.flatnonzero((old == row).all(axis=1))[0]) for row in rule.reference_old[:50]]
    np.testing.assert_array_equal(new[rows], rule.reference_new[:50])
    np.testing.assert_array_equal(rule.reference_old, again.reference_old)
    assert (rule.reference_old != other.reference_old).any()


def test_one_pair_has_no_scale() -> None:
    assert two_encoder_reference(pairs(1), FitSettings()) is None
