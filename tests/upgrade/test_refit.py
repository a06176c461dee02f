"""Fitting the forward map again: the same as fitting on everything, once for each item."""

from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest

from crossfade.embeddings import Pairs, normalise
from crossfade.errors import InvalidInput
from crossfade.fit.kernel import fit_refitted_kernel, fit_ridge_to_kernel
from crossfade.fit.methods import FitFunction
from crossfade.fit.ridge import fit_forward_ridge, fit_refitted_ridge
from crossfade.fit.settings import FitSettings
from crossfade.testing import make_upgrade, make_world
from crossfade.upgrade import (
    MILESTONES,
    Fresh,
    Moments,
    PairSample,
    Refit,
    Side,
    Upgrade,
    milestone_at,
    old_share,
)

WORLD = make_world(items=400, queries=4)
FIRST, MORE = WORLD.gallery.subset(range(150)), WORLD.gallery.subset(range(150, 400))


def refitted_ridge(pairs: Pairs, **settings: float) -> Upgrade:
    return fit_refitted_ridge(pairs, FitSettings(**settings))


def moments(pairs: Pairs) -> Moments:
    return Moments.of(pairs.old_rows(), pairs.new_rows())


def as_fresh(pairs: Pairs) -> Fresh:
    """All of them, near-duplicates of what was fitted on too."""
    sample = PairSample(pairs.old, pairs.new)
    return Fresh(moments(pairs), sample, np.arange(len(pairs), dtype=np.uint64))


def gathered(upgrade: Upgrade, pairs: Pairs, backfilled: int | None = None) -> Fresh:
    assert upgrade.refit is not None
    ids = pairs.ids.tolist()
    fresh = upgrade.refit.gather(ids, pairs.old, pairs.new, backfilled or len(pairs))
    assert fresh is not None
    return fresh


def refitted(upgrade: Upgrade, pairs: Pairs) -> Upgrade:
    return fitted_again(upgrade, gathered(upgrade, pairs))


def fitted_again(upgrade: Upgrade, extra: Fresh) -> Upgrade:
    again = upgrade.refitted(extra)
    assert again is not None
    return again


def test_moments_of_two_parts_add_up_to_those_of_the_whole() -> None:
    whole, sum_of_parts = moments(WORLD.gallery), moments(FIRST) + moments(MORE)
    assert sum_of_parts.n == whole.n == 400
    for name in ("mean_x", "mean_y", "xx", "xy"):
        np.testing.assert_allclose(getattr(sum_of_parts, name), getattr(whole, name), atol=1e-9)


def test_a_map_fitted_again_is_the_one_fitted_on_everything() -> None:
    again = fitted_again(refitted_ridge(FIRST), as_fresh(MORE))
    at_once = refitted_ridge(WORLD.gallery)
    old = WORLD.queries.old
    np.testing.assert_allclose(again.map_items(old), at_once.map_items(old), atol=1e-5)
    assert not np.allclose(again.map_items(old), refitted_ridge(FIRST).map_items(old), atol=1e-3)


def test_its_old_share_follows_the_number_fitted_on_unless_it_was_set() -> None:
    again = fitted_again(refitted_ridge(FIRST), as_fresh(MORE)).two_encoder
    assert again is not None and again.weight == old_share(400 / 20)
    kept = refitted(refitted_ridge(FIRST, two_encoder_weight=0.9), MORE).two_encoder
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


def bare(sample: bool) -> Refit:
    """Of one pair; everything else is fresh."""
    one = np.eye(1, 8, dtype=np.float32)
    own = PairSample(one, one) if sample else None
    return Refit(Moments.of(one, one), np.empty(0, np.uint64), sample=own)


@pytest.mark.parametrize("sample", [False, True])
def test_of_many_items_a_share_is_read_and_always_the_same(sample: bool) -> None:
    ids = [*range(2_000), *map(str, range(2_000))]
    old = np.random.default_rng(0).normal(size=(4_000, 8)).astype(np.float32)
    refit = bare(sample)

    def gather(rows: np.ndarray, backfilled: int) -> Fresh:
        fresh = refit.gather([ids[row] for row in rows], old[rows], old[rows], backfilled)
        assert fresh is not None
        return fresh

    every = np.arange(4_000)
    assert gather(every, 4_000).n == gather(every, 50_000).n == 4_000
    quarter, again = gather(every, 200_000), gather(every[::-1], 200_000)
    assert 850 < quarter.n < 1_150
    np.testing.assert_allclose(quarter.moments.xx, again.moments.xx)
    kept = len(quarter.sample)
    assert (700 < kept < 900) if sample else (60 < kept < 140)
    assert np.array_equal(np.sort(quarter.hashes), np.sort(again.hashes))
    parts = gather(every[:3_000], 200_000) + gather(every[3_000:], 200_000)
    assert parts.n == quarter.n and np.array_equal(parts.hashes, quarter.hashes)
    np.testing.assert_allclose(parts.moments.xy, quarter.moments.xy, atol=1e-9)


def test_nothing_fresh_adds_nothing() -> None:
    refit = refitted_ridge(FIRST).refit
    assert refit is not None
    assert refit.gather(FIRST.ids.tolist(), FIRST.old, FIRST.new, 150) is None


def test_a_kernel_map_is_the_same_whatever_the_order_of_reading() -> None:
    upgrade = fit_ridge_to_kernel(FIRST, FitSettings())
    first, second = MORE.subset(range(100)), MORE.subset(range(100, 250))
    forth = gathered(upgrade, first, 250) + gathered(upgrade, second, 250)
    back = gathered(upgrade, second, 250) + gathered(upgrade, first, 250)
    old = WORLD.queries.old
    maps = [fitted_again(upgrade, extra).map_items(old) for extra in (forth, back)]
    np.testing.assert_allclose(*maps, atol=1e-5)


def test_its_landmarks_are_bounded_and_of_pairs_and_items(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("crossfade.upgrade.refit.MOST_LANDMARKS", 80)
    upgrade = fit_refitted_kernel(FIRST, FitSettings())
    forward = fitted_again(upgrade, as_fresh(MORE)).forward
    assert forward is not None and forward.kernel is not None
    inputs, landmarks = forward.kernel.inputs, forward.kernel.landmarks
    assert inputs is not None
    seen = [landmarks @ normalise(inputs(pairs.old)).T for pairs in (FIRST, MORE)]
    assert [(of.max(axis=1) > 1 - 1e-5).sum() for of in seen] == [30, 50]


def test_no_more_pairs_are_carried_than_an_artifact_has_room_for(
    carry_few_pairs: Callable[[int, int], None],
) -> None:
    carry_few_pairs(100, 60)
    refit = fit_ridge_to_kernel(FIRST, FitSettings()).refit
    assert refit is not None and refit.sample is not None
    assert len(refit.sample) == 100 and refit.moments.n == 150
    stays = fit_refitted_kernel(FIRST, FitSettings()).refit
    assert stays is not None and stays.sample is None
    assert stays.corrects and not stays.shares_follow and stays.landmarks == 60
    np.testing.assert_array_equal(stays.marks, refit.marks)


def test_a_sample_of_other_widths_is_refused() -> None:
    refit = fit_ridge_to_kernel(FIRST, FitSettings()).refit
    assert refit is not None and refit.sample is not None
    with pytest.raises(InvalidInput, match=r"sample of pairs of shapes .* wanted \(m, 12\)"):
        replace(refit, sample=PairSample(refit.sample.new, refit.sample.new))


@pytest.mark.parametrize("fit", [fit_refitted_ridge, fit_ridge_to_kernel, fit_refitted_kernel])
def test_the_artifact_carries_it(tmp_path: Path, fit: FitFunction) -> None:
    upgrade = fit(FIRST, FitSettings(), None)
    upgrade.save(tmp_path / "up")
    loaded = Upgrade.load(tmp_path / "up")
    assert loaded.id == upgrade.id and loaded.refit is not None
    again, loaded_again = (refitted(one, MORE) for one in (upgrade, loaded))
    old = WORLD.queries.old
    assert np.array_equal(again.map_items(old), loaded_again.map_items(old))
    assert not loaded.refit.fresh(FIRST.old).any()


def test_an_upgrade_without_it_has_the_id_that_it_always_had() -> None:
    plain, refittable = fit_forward_ridge(FIRST, FitSettings()), refitted_ridge(FIRST)
    bare = replace(refittable, refit=None, method="forward_ridge", forward=plain.forward)
    assert plain.id == bare.id
    assert plain.id != refittable.id


def test_only_a_closed_form_of_a_forward_map_can_be_fitted_again() -> None:
    refit = refitted_ridge(FIRST).refit
    with pytest.raises(InvalidInput, match="without rho"):
        replace(make_upgrade(Side.ITEMS), refit=refit)
    with pytest.raises(InvalidInput, match="only a forward map"):
        replace(make_upgrade(Side.QUERY, rho=False), refit=refit)
    with pytest.raises(InvalidInput, match="moments of 12 and 20"):
        replace(make_upgrade(Side.ITEMS, rho=False, dim_new=21), refit=refit)
    with pytest.raises(InvalidInput, match="nothing to fit"):
        make_upgrade(Side.ITEMS).refitted(gathered(refitted_ridge(FIRST), MORE))
