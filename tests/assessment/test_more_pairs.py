"""What more pairs would add, against fits that have them."""

from __future__ import annotations

import pytest
from assessment_worlds import QUICK, good_upgrade

from crossfade import Mode, Pairs, assess, evaluate, fit
from crossfade.assessment import Assessment


def hungry_world(items: int) -> Pairs:
    """So many dimensions that a ridge is better for every pair that it has."""
    return good_upgrade(items, dim_old=150, dim_new=150, dim_latent=120, spread=1.0)


def assessed(pairs: Pairs, gallery: Pairs | None = None, **changes: object) -> Assessment:
    return assess(pairs, gallery=gallery, **{**QUICK, **changes})


@pytest.mark.parametrize("mode", [Mode.ONE_ENCODER, Mode.TWO_ENCODER])
def test_it_is_what_a_fit_on_half_of_the_pairs_lacks(mode: Mode) -> None:
    """About so: which half is drawn, and which queries are asked, is another matter."""
    world = hungry_world(1_200)
    pairs, gallery = world.subset(range(600)), world.subset(range(600, 1_200))
    both = assessed(pairs, gallery).more_pairs
    assert [one.candidate.mode for one in both] == [Mode.ONE_ENCODER, Mode.TWO_ENCODER]
    more = {one.candidate.mode: one for one in both}[mode]
    assert more.pairs == 600
    by_half, by_all = (
        evaluate(fit(some.without_labels(), "forward_ridge"), gallery, mode=mode)
        for some in (pairs.subset(range(300)), pairs)
    )
    old = by_half.old_old["map"]
    start = (by_all.curve.mean("map")[0] - by_half.curve.mean("map")[0]) / old
    area = (by_all.auc["map"] - by_half.auc["map"]) / old
    assert start > 1.5 * area > 0.003
    assert more.start.value == pytest.approx(start, rel=0.4)
    assert more.area.value == pytest.approx(area, rel=0.4)
    assert 0 < more.area.low < more.area.value < more.area.high


def test_the_next_doubling_adds_about_what_the_last_did() -> None:
    world = hungry_world(1_200)
    gallery = world.subset(range(600, 1_200))
    more = assessed(world.subset(range(300)), gallery).more_pairs[0]
    by_all, by_twice = (
        evaluate(fit(world.subset(range(n)).without_labels(), "forward_ridge"), gallery)
        for n in (300, 600)
    )
    added = (by_twice.auc["map"] - by_all.auc["map"]) / by_all.old_old["map"]
    assert added > 0.01
    assert added / 2 < more.area.value < 2 * added


def test_where_a_map_knows_all_there_is_more_pairs_add_nothing() -> None:
    for more in assessed(good_upgrade(items=2_400)).more_pairs:
        assert more.pairs == 1_600
        assert abs(more.area.value) < 0.01 and abs(more.start.value) < 0.02


@pytest.mark.parametrize(("items", "method"), [(900, "rank_merge"), (190, "forward_ridge")])
def test_nothing_is_said_of_methods_without_a_map_or_of_halves_that_are_too_few(
    items: int, method: str
) -> None:
    result = assessed(good_upgrade(items=items, classes=10), methods=[method])
    assert result.recommendation is not None and result.more_pairs == []
    assert result.to_json()["more_pairs"] == []
