"""A map that stays and is corrected: by what it misses on kinds of items that it never saw."""

from __future__ import annotations

import sys
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest

from crossfade.embeddings import FloatArray, Pairs, unit_rows
from crossfade.errors import InvalidInput
from crossfade.evaluation.refits import Generations
from crossfade.fit.api import fit
from crossfade.fit.kernel import kernel_of_pairs
from crossfade.fit.refitting import corrected_later
from crossfade.fit.ridge import fit_forward_ridge
from crossfade.fit.settings import FitSettings
from crossfade.testing import make_world
from crossfade.upgrade import Affine, Fresh, Transform, Upgrade
from crossfade.upgrade.kernel_maps import (
    _CORRECTION_PENALTIES,
    _least_error_left_out,
    _similarities,
    correcting_kernel,
    residual_kernel,
)

DIM_OLD, DIM_NEW, KINDS, SEEN = 12, 16, 8, 5
LANDMARKS = 300


def items(n: int, kinds: range, seed: int) -> Pairs:
    """All kinds turn alike, about a place of their own: of five places a linear map has learnt."""
    fixed, rng = np.random.default_rng(0), np.random.default_rng(seed)
    centres_old, centres_new = (fixed.normal(size=(KINDS, d)) for d in (DIM_OLD, DIM_NEW))
    turn = fixed.normal(size=(DIM_OLD, DIM_NEW)) / np.sqrt(DIM_OLD)
    kind = rng.choice(kinds, size=n)
    own = 0.3 * rng.normal(size=(n, DIM_OLD))
    new = centres_new[kind] + own @ turn
    new += 0.1 * rng.normal(size=new.shape)
    return Pairs.of(np.arange(n) + seed * 10_000, centres_old[kind] + own, new)


FITTED = items(2_000, range(SEEN), 1)


@pytest.fixture(scope="module", params=["refitted_mlp", "refitted_kernel"])
def upgrade(request: pytest.FixtureRequest) -> Upgrade:
    """A network; or a kernel map of more pairs than an artifact carries."""
    kernel = sys.modules["crossfade.fit.kernel"]
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(kernel, "MOST_CARRIED", 1_000)
        bounds = {**kernel.kernel_of_pairs.__kwdefaults__, "most_landmarks": LANDMARKS}
        patch.setattr(kernel.kernel_of_pairs, "__kwdefaults__", bounds)
        return fit(FITTED, request.param, epochs=20, seed=0)


def gathered(upgrade: Upgrade, pairs: Pairs) -> Fresh:
    assert upgrade.refit is not None
    found = upgrade.refit.gather(pairs.ids.tolist(), pairs.old, pairs.new, len(pairs))
    assert found is not None
    return found


def error(upgrade: Upgrade, pairs: Pairs) -> float:
    assert upgrade.forward is not None
    mapped = upgrade.forward(pairs.old)
    return float(((pairs.new - mapped) ** 2).sum(axis=1).mean())


def test_a_few_items_of_unseen_kinds_correct_the_others(upgrade: Upgrade) -> None:
    unseen = range(SEEN, KINDS)
    corrected = upgrade.refitted(gathered(upgrade, items(80, unseen, 2)))
    assert corrected is not None and corrected.forward is not None
    assert upgrade.forward is not None and corrected.forward.kernel is not None
    if upgrade.forward.kernel is None:
        assert corrected.forward.layers is upgrade.forward.layers
    else:
        own, joined = upgrade.forward.kernel, corrected.forward.kernel
        assert len(own.landmarks) == LANDMARKS and len(joined.landmarks) == LANDMARKS + 80
        np.testing.assert_array_equal(joined.weight[:LANDMARKS], own.weight)
    others = items(500, unseen, 3)
    assert error(corrected, others) < 0.3 * error(upgrade, others)


def test_what_it_saw_it_still_maps_as_well(upgrade: Upgrade) -> None:
    corrected = upgrade.refitted(gathered(upgrade, items(160, range(KINDS), 4)))
    assert corrected is not None
    seen, others = items(500, range(SEEN), 5), items(500, range(SEEN, KINDS), 5)
    lost = error(corrected, seen) - error(upgrade, seen)
    assert lost < 0.05 * (error(upgrade, others) - error(corrected, others))


@pytest.mark.parametrize("n", [60, 200])
def test_items_like_the_pairs_correct_nothing(upgrade: Upgrade, n: int) -> None:
    assert upgrade.refitted(gathered(upgrade, items(n, range(SEEN), 6))) is None


def test_a_map_that_is_unsure_of_all_items_alike_is_not_corrected() -> None:
    """Its images are too long for squared error, but right in their directions."""
    rng = np.random.default_rng(0)
    old = unit_rows(rng.normal(size=(400, 8)))
    half = np.concatenate([old, np.zeros_like(old)], axis=1)
    noise = np.concatenate([np.zeros_like(old), unit_rows(rng.normal(size=(400, 8)))], axis=1)
    base = Transform(fit_forward_ridge(Pairs.of(range(400), old, half), FitSettings()).forward.skip)
    assert correcting_kernel(old, unit_rows(half + 2 * noise), base) is None


def test_a_second_correction_takes_the_place_of_the_first(upgrade: Upgrade) -> None:
    first, both = items(80, range(SEEN, KINDS), 2), items(200, range(SEEN, KINDS), 7)
    once = upgrade.refitted(gathered(upgrade, first))
    assert once is not None
    twice, straight = (one.refitted(gathered(upgrade, both)) for one in (once, upgrade))
    assert twice is not None and straight is not None
    np.testing.assert_array_equal(twice.map_items(first.old), straight.map_items(first.old))


def test_it_does_not_matter_in_which_order_items_are_read(upgrade: Upgrade) -> None:
    pairs = items(120, range(SEEN, KINDS), 8)
    forth, back = (pairs.subset(rows) for rows in (range(120), range(119, -1, -1)))
    maps = [upgrade.refitted(gathered(upgrade, one)) for one in (forth, back)]
    assert all(maps)
    images = [one.map_items(pairs.old) for one in maps if one is not None]
    np.testing.assert_allclose(*images, atol=1e-6)


def test_the_number_of_items_alone_decides_when(upgrade: Upgrade) -> None:
    refit = upgrade.refit
    assert refit is not None
    n = refit.moments.n
    assert not refit.has_grown(n, 49) and refit.has_grown(n, 50)
    assert not refit.has_grown(n + 100, 104) and refit.has_grown(n + 100, 105)


def test_the_artifact_carries_it(tmp_path: Path, upgrade: Upgrade) -> None:
    upgrade.save(tmp_path / "up")
    loaded = Upgrade.load(tmp_path / "up")
    assert loaded.id == upgrade.id and loaded.refit is not None and loaded.refit.corrects
    version = 8 if upgrade.has_kernel else 6
    assert f'"format_version": {version}' in (tmp_path / "up" / "upgrade.json").read_text()
    pairs = items(120, range(SEEN, KINDS), 9)
    again = [one.refitted(gathered(one, pairs)) for one in (upgrade, loaded)]
    assert all(again)
    images = [one.map_items(pairs.old) for one in again if one is not None]
    np.testing.assert_array_equal(*images)


def test_with_rho_what_is_learnt_is_as_stored() -> None:
    """The correction meets rho's image of the new embedding, which is what is backfilled."""
    world = make_world(items=600, queries=0, dim_old=8, dim_new=12).gallery
    labelled = fit(world, "refitted_contrastive", epochs=2, seed=0)
    wrong = replace(labelled, forward=Transform(fit_forward_ridge(
        Pairs.of(world.ids, world.old, -world.new), FitSettings()).forward.skip))  # fmt: skip
    more = make_world(items=300, queries=0, dim_old=8, dim_new=12, seed=5).gallery
    stored = labelled.store_new(more.new)
    extra = wrong.refit.gather(more.ids.tolist(), more.old, stored, len(more))
    corrected = wrong.refitted(extra)
    assert corrected is not None

    def far(one: Upgrade) -> float:
        return float(((stored - one.map_items(more.old)) ** 2).sum(axis=1).mean())

    assert far(corrected) < 0.5 * far(wrong)


def test_what_is_simulated_is_corrected_to_what_is_stored_too() -> None:
    """A map that is right onto rho's space is not drawn to the new space itself."""
    turn = np.linalg.qr(np.random.default_rng(3).normal(size=(DIM_NEW, DIM_NEW)))[0]
    rho = Transform(Affine(turn.astype(np.float32), np.zeros(DIM_NEW, np.float32)))
    stored = Pairs.of(FITTED.ids, FITTED.old, rho(FITTED.new))
    right = fit_forward_ridge(stored, FitSettings())
    upgrade = corrected_later(replace(right, rho=rho), FITTED)
    gallery = items(400, range(SEEN), 11)
    meant = upgrade.store_new(gallery.new)

    def far(one: Upgrade) -> float:
        return float(((meant - one.map_items(gallery.old)) ** 2).sum(axis=1).mean())

    assert far(upgrade) < 0.2
    assert far(Generations(upgrade, gallery, np.arange(400)).at(0.9)) <= far(upgrade)


def test_a_sample_of_few_items_corrects_nothing(upgrade: Upgrade) -> None:
    """Of many backfilled items a share is drawn, and most of them may have been fitted on."""
    refit, pairs = upgrade.refit, items(200, range(SEEN, KINDS), 10)
    assert refit is not None and upgrade.forward is not None
    some = refit.gather(pairs.ids.tolist(), pairs.old, pairs.new, 40_000)
    assert some is not None and some.n > 150 and 0 < len(some.sample) < 50
    assert refit.has_grown(refit.moments.n, some.n)
    assert refit.forward(some, upgrade.forward) is None


def slow_error(z: FloatArray, residuals: np.ndarray, penalty: float) -> float:
    """Each item is left out in turn, and the rest solved anew."""
    total = 0.0
    for one in range(len(z)):
        rest = [row for row in range(len(z)) if row != one]
        inner = _similarities(z[rest], z[rest], 1.0) + penalty * np.eye(len(rest))
        weight = np.linalg.solve(inner, residuals[rest])
        predicted = _similarities(z[[one]], z[rest], 1.0) @ weight
        total += float(((residuals[one] - predicted[0]) ** 2).sum())
    return total


@pytest.mark.parametrize("noise", [0.0, 0.5, 2.0, 20.0])
def test_the_penalty_is_that_of_the_least_error_on_items_left_out(noise: float) -> None:
    rng = np.random.default_rng(0)
    z = unit_rows(rng.normal(size=(40, 5)))
    residuals = np.sin(2 * z @ rng.normal(size=(5, 3))) + noise * rng.normal(size=(40, 3))
    errors = {penalty: slow_error(z, residuals, penalty) for penalty in _CORRECTION_PENALTIES}
    best = min(errors, key=lambda penalty: errors[penalty])
    worth_it = errors[best] < 0.95 * (residuals**2).sum()
    assert _least_error_left_out(z, residuals, 1.0) == (best if worth_it else None)
    assert worth_it == (noise < 2)


@pytest.mark.parametrize("upgrade", ["refitted_kernel"], indirect=True)
def test_how_sure_it_is_of_an_item_a_corrected_kernel_map_says_as_it_did(upgrade: Upgrade) -> None:
    """Its images are stretched by what corrects them: their lengths would all be generous."""
    mixed = items(200, range(KINDS), 12)
    corrected = upgrade.refitted(gathered(upgrade, mixed))
    assert corrected is not None and corrected.forward is not None and corrected.offset is not None
    others = items(300, range(KINDS), 13)
    assert upgrade.forward is not None and upgrade.refit is not None
    others = others.subset(np.flatnonzero(upgrade.refit.fresh(others.old)))
    before, after = upgrade.forward.raw(others.old), corrected.forward.raw(others.old)
    assert np.linalg.norm(after, axis=1).mean() > 1.1 * np.linalg.norm(before, axis=1).mean()
    wanted = corrected.offset.vectors(others.old, corrected.forward(others.old), before)
    np.testing.assert_allclose(corrected.map_items(others.old), wanted, atol=1e-6)


def test_a_corrected_network_is_no_kernel_map(upgrade: Upgrade) -> None:
    corrected = upgrade.refitted(gathered(upgrade, items(80, range(SEEN, KINDS), 2)))
    assert corrected is not None
    assert corrected.has_kernel == upgrade.has_kernel == (upgrade.method == "refitted_kernel")


def test_shares_of_two_encoders_stay_what_they_were(upgrade: Upgrade) -> None:
    corrected = upgrade.refitted(gathered(upgrade, items(800, range(SEEN, KINDS), 2)))
    assert corrected is not None and corrected.two_encoder is not None
    assert upgrade.two_encoder is not None
    assert corrected.two_encoder.weight == upgrade.two_encoder.weight


@pytest.mark.parametrize("landmarks", [-3, LANDMARKS + 1])
def test_landmarks_that_a_map_does_not_have_are_refused(landmarks: int) -> None:
    linear = fit_forward_ridge(FITTED, FitSettings())
    assert linear.forward is not None and isinstance(linear.forward.skip, Affine)
    kernel = kernel_of_pairs(FITTED, linear.forward.skip, 0, most_landmarks=LANDMARKS)
    whole = replace(linear, forward=linear.forward.with_kernel(kernel))
    corrected = corrected_later(whole, FITTED)
    assert corrected.refit is not None and corrected.refit.landmarks == LANDMARKS
    wrong = replace(corrected.refit, landmarks=landmarks)
    repeating = corrected.forward.with_kernel(replace(kernel, nugget=0.1))
    for changes in (
        {"refit": wrong},
        {"forward": linear.forward},
        {"forward": repeating},
        {"refit": replace(corrected.refit, corrects=False)},
    ):
        with pytest.raises(InvalidInput, match="landmarks of its own wants a kernel map"):
            replace(corrected, **changes)


def test_a_correction_has_the_width_and_the_inputs_of_what_it_corrects() -> None:
    linear = fit_forward_ridge(FITTED, FitSettings())
    assert linear.forward is not None and isinstance(linear.forward.skip, Affine)
    skip, some = linear.forward.skip, np.arange(LANDMARKS)
    kernel = residual_kernel(FITTED.old, FITTED.new, skip, some, gamma=4.0)
    base = linear.forward.with_kernel(kernel)
    unseen = items(60, range(SEEN, KINDS), 14)
    corrected = correcting_kernel(unseen.old, unseen.new, base)
    assert corrected is not None and corrected.gamma == 4.0 and corrected.inputs is kernel.inputs
    by, alone = base.with_kernel(corrected)(unseen.old), base(unseen.old)
    missed = [((unseen.new - mapped) ** 2).sum(axis=1).mean() for mapped in (by, alone)]
    assert missed[0] < 0.1 * missed[1]
