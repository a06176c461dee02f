"""Held-out curves: what they are made of, and their known answers."""

from __future__ import annotations

import json

import numpy as np
import pytest

from crossfade import Pairs, Side, Upgrade
from crossfade.errors import InvalidInput
from crossfade.fit.held_out import held_out_curves, split_pairs
from crossfade.testing.worlds import make_world
from crossfade.upgrade import Affine, Transform

PAIRS = make_world(items=400, queries=0, classes=8, dim_old=6, dim_new=6).gallery


def twin_pairs(labels: bool = True) -> Pairs:
    """Both models are the same one."""
    kept = PAIRS.labels if labels else None
    return Pairs.of(PAIRS.ids, PAIRS.new_rows(), PAIRS.new_rows(), kept)


def identity_upgrade(side: Side = Side.ITEMS) -> Upgrade:
    same = Transform(Affine(np.eye(6, dtype=np.float32), np.zeros(6, np.float32)))
    return Upgrade(
        "identity",
        PAIRS.source,
        PAIRS.target,
        side,
        psi=same if side is Side.QUERY else None,
        forward=same if side is Side.ITEMS else None,
    )


@pytest.mark.parametrize("n", [16, 17, 64, 400])
@pytest.mark.parametrize("share", [0.05, 0.1, 0.5])
def test_no_pair_is_in_both_parts_and_none_is_lost(n: int, share: float) -> None:
    split = split_pairs(PAIRS.subset(range(n)), share, 0, 10**6)
    fitting, held_out = set(split.fitting.ids.tolist()), set(split.held_out.ids.tolist())
    assert not fitting & held_out
    assert len(fitting) + len(held_out) == n
    assert len(held_out) >= min(n // 4, share * n)


def test_the_fitting_part_is_limited_and_drawn_by_the_seed() -> None:
    split = split_pairs(PAIRS, 0.1, 0, 50)
    assert len(split.fitting) == 50
    assert split.fitting.ids.tolist() == split_pairs(PAIRS, 0.1, 0, 50).fitting.ids.tolist()
    assert split.fitting.ids.tolist() != split_pairs(PAIRS, 0.1, 1, 50).fitting.ids.tolist()


def test_too_few_pairs_have_no_held_out_part() -> None:
    with pytest.raises(InvalidInput, match="at least 16 pairs, got 15"):
        split_pairs(PAIRS.subset(range(15)), 0.1, 0, 100)


def test_kinds_of_queries_follow_from_the_labels() -> None:
    upgrade = identity_upgrade()
    assert [curve.kind for curve in held_out_curves(upgrade, twin_pairs(), 0)] == ["labels"]
    unlabelled = [curve.kind for curve in held_out_curves(upgrade, twin_pairs(False), 0)]
    assert unlabelled == ["neighbours", "displaced"]


def test_labels_that_no_two_items_share_are_no_labels() -> None:
    pairs = Pairs.of(PAIRS.ids, PAIRS.old_rows(), PAIRS.new_rows(), PAIRS.ids)
    kinds = [curve.kind for curve in held_out_curves(identity_upgrade(), pairs, 0)]
    assert kinds == ["neighbours", "displaced"]


@pytest.mark.parametrize("labels", [True, False])
@pytest.mark.parametrize("side", [Side.QUERY, Side.ITEMS])
def test_between_one_and_the_same_model_the_curve_is_flat(labels: bool, side: Side) -> None:
    for curve in held_out_curves(identity_upgrade(side), twin_pairs(labels), 0):
        described = curve.describe()
        np.testing.assert_allclose(described["values"], described["new_new"], atol=1e-4)
        assert described["old_old"] == described["new_new"] > 0.3
        assert described["gain_share"] is None
        assert described["worst_point"] == pytest.approx(0, abs=1e-4)
        if curve.kind == "neighbours":
            assert described["new_new"] == 1.0


def test_a_curve_ends_at_the_new_model_and_its_area_is_the_mean_over_queries() -> None:
    upgrade = identity_upgrade()
    for labels in (PAIRS.labels, None):
        pairs = Pairs.of(PAIRS.ids, PAIRS.old_rows(), PAIRS.new_rows(), labels)
        for curve in held_out_curves(upgrade, pairs, 0):
            described = curve.describe()
            assert described["coverage"] == [0.0, 0.2, 0.4, 0.6, 0.8, 1.0]
            assert described["values"][-1] == described["new_new"]
            assert curve.area_per_query.mean() == pytest.approx(described["auc"], abs=1e-4)
            assert len(curve.area_per_query) == described["count"]
            assert json.loads(json.dumps(described)) == described


def test_the_same_seed_gives_the_same_curves() -> None:
    pairs = PAIRS.without_labels()
    first, again, other = (
        [curve.describe() for curve in held_out_curves(identity_upgrade(), pairs, seed)]
        for seed in (0, 0, 1)
    )
    assert first == again != other


def test_displaced_queries_are_hard_for_the_new_model_but_not_hopeless() -> None:
    curves = held_out_curves(identity_upgrade(), PAIRS.without_labels(), 0)
    assert 0.4 < curves[1].describe()["new_new"] < 0.8
