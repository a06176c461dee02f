"""Fitting the forward map again: the same as fitting on everything, once for each item."""

from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest

from crossfade.embeddings import Pairs, normalise
from crossfade.errors import InvalidInput
from crossfade.fit.ridge import fit_forward_ridge, fit_refitted_ridge
from crossfade.fit.settings import FitSettings
from crossfade.testing import make_upgrade, make_world
from crossfade.upgrade import (
    MILESTONES,
    Moments,
    Side,
    Upgrade,
    milestone_at,
    old_share,
    sample_mask,
    share_to_fit,
)

WORLD = make_world(items=400, queries=4)
FIRST, MORE = WORLD.gallery.subset(range(150)), WORLD.gallery.subset(range(150, 400))


def refitted_ridge(pairs: Pairs, **settings: float) -> Upgrade:
    return fit_refitted_ridge(pairs, FitSettings(**settings))


def moments(pairs: Pairs) -> Moments:
    return Moments.of(pairs.old_rows(), pairs.new_rows())


def test_moments_of_two_parts_add_up_to_those_of_the_whole() -> None:
    whole, sum_of_parts = moments(WORLD.gallery), moments(FIRST) + moments(MORE)
    assert sum_of_parts.n == whole.n == 400
    for name in ("mean_x", "mean_y", "xx", "xy"):
        np.testing.assert_allclose(getattr(sum_of_parts, name), getattr(whole, name), atol=1e-9)


def test_a_map_fitted_again_is_the_one_fitted_on_everything() -> None:
    again = refitted_ridge(FIRST).refitted(moments(MORE))
    at_once = refitted_ridge(WORLD.gallery)
    old = WORLD.queries.old
    np.testing.assert_allclose(again.map_items(old), at_once.map_items(old), atol=1e-5)
    assert not np.allclose(again.map_items(old), refitted_ridge(FIRST).map_items(old), atol=1e-3)


def test_its_old_share_follows_the_number_fitted_on_unless_it_was_set() -> None:
    again = refitted_ridge(FIRST).refitted(moments(MORE)).two_encoder
    assert again is not None and again.weight == old_share(400 / 20)
    kept = refitted_ridge(FIRST, two_encoder_weight=0.9).refitted(moments(MORE)).two_encoder
    assert kept is not None and kept.weight == 0.9


def test_items_fitted_on_are_known_again_though_a_store_has_rounded_them() -> None:
    refit = refitted_ridge(FIRST).refit
    assert refit is not None
    rounded = normalise(FIRST.old * np.float32(1 + 2e-7))
    assert (rounded != FIRST.old).any()
    assert not refit.fresh(rounded).any()
    assert refit.fresh(MORE.old).mean() > 0.98


def test_it_asks_for_a_twentieth_more_than_the_map_in_use_was_fitted_on() -> None:
    refit = refitted_ridge(FIRST).refit
    assert refit is not None
    assert not refit.has_grown(150, 7) and refit.has_grown(150, 8)
    assert not refit.has_grown(200, 59) and refit.has_grown(200, 60)


def test_milestones_are_reached_from_below() -> None:
    assert milestone_at(0.0) == milestone_at(0.0199) == 0.0
    assert [milestone_at(at) for at in MILESTONES] == list(MILESTONES)
    assert milestone_at(0.99) == MILESTONES[-1]


def test_of_many_items_a_share_is_read_and_always_the_same() -> None:
    ids = [*range(2_000), *map(str, range(2_000))]
    assert share_to_fit(1_000) == 1.0 and share_to_fit(200_000) == 0.25
    mask = sample_mask(ids, 0.25)
    assert 850 < mask.sum() < 1_150
    assert (sample_mask(ids[::-1], 0.25)[::-1] == mask).all()
    assert (mask <= sample_mask(ids, 0.5)).all()
    assert sample_mask(ids, 1.0).all()


def test_the_artifact_carries_it(tmp_path: Path) -> None:
    upgrade = refitted_ridge(FIRST)
    upgrade.save(tmp_path / "up")
    loaded = Upgrade.load(tmp_path / "up")
    assert loaded.id == upgrade.id and loaded.refit is not None
    again, loaded_again = (one.refitted(moments(MORE)) for one in (upgrade, loaded))
    old = WORLD.queries.old
    assert np.array_equal(again.map_items(old), loaded_again.map_items(old))
    assert not loaded.refit.fresh(FIRST.old).any()


def test_an_upgrade_without_it_has_the_id_that_it_always_had() -> None:
    plain, refittable = fit_forward_ridge(FIRST, FitSettings()), refitted_ridge(FIRST)
    bare = replace(refittable, refit=None, method="forward_ridge", forward=plain.forward)
    assert plain.id == bare.id
    assert plain.id != refittable.id


def test_only_a_linear_forward_map_can_be_fitted_again() -> None:
    refit = refitted_ridge(FIRST).refit
    with pytest.raises(InvalidInput, match="without rho"):
        replace(make_upgrade(Side.ITEMS), refit=refit)
    with pytest.raises(InvalidInput, match="linear forward map"):
        replace(make_upgrade(Side.QUERY, rho=False), refit=refit)
    with pytest.raises(InvalidInput, match="moments of 12 and 20"):
        replace(make_upgrade(Side.ITEMS, rho=False, dim_new=21), refit=refit)
    with pytest.raises(InvalidInput, match="nothing to fit"):
        make_upgrade(Side.ITEMS).refitted(moments(MORE))
