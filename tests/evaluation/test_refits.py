"""The simulated refits, against slow loops."""

import numpy as np
import pytest

from crossfade.embeddings import Pairs
from crossfade.evaluation import evaluate
from crossfade.evaluation.orders import backfill_order
from crossfade.evaluation.refits import Generations, for_gallery
from crossfade.fit.api import fit
from crossfade.fit.kernel import fit_refitted_kernel, fit_ridge_to_kernel
from crossfade.fit.ridge import fit_refitted_ridge
from crossfade.fit.settings import FitSettings
from crossfade.testing import make_world
from crossfade.upgrade import MILESTONES, Affine, Transform, Upgrade, residual_kernel

WORLD = make_world(items=360, queries=30, noise_old=0.6)
FITTING, GALLERY = WORLD.gallery.subset(range(60)), WORLD.gallery.subset(range(60, 360))
UPGRADE = fit_refitted_ridge(FITTING, FitSettings())
KERNEL = fit_ridge_to_kernel(FITTING, FitSettings())


def together(first: Pairs, second: Pairs) -> Pairs:
    return Pairs.of(
        np.concatenate([first.ids, second.ids]),
        np.concatenate([first.old, second.old]),
        np.concatenate([first.new, second.new]),
    )


def fitted_at_once(coverage: float, order: np.ndarray) -> Upgrade:
    """The map at a coverage, the slow way: fitted on the pairs and what is backfilled."""
    passed = [at for at in MILESTONES if np.ceil(at * 300 - 1e-9) <= np.rint(coverage * 300)]
    if not passed:
        return UPGRADE
    rows = order[: int(np.ceil(passed[-1] * 300 - 1e-9))]
    return fit_refitted_ridge(together(FITTING, GALLERY.subset(rows)), FitSettings())


@pytest.mark.parametrize("mode", ["one-encoder", "two-encoder"])
def test_every_point_of_the_curve_is_by_the_map_fitted_at_the_last_milestone(mode: str) -> None:
    result = evaluate(UPGRADE, GALLERY, WORLD.queries, mode=mode)
    order = backfill_order("random", GALLERY, UPGRADE, seed=0)
    for step in (0, 1, 4, 8):
        coverage = step / 10
        alone = fitted_at_once(coverage, order)
        again = Generations(UPGRADE, GALLERY, order).at(coverage)
        # The sample for two encoders stays, so that what differs is the map and its share.
        np.testing.assert_allclose(
            again.map_items(GALLERY.old), alone.map_items(GALLERY.old), atol=1e-5
        )
        fixed = evaluate(again, GALLERY, WORLD.queries, mode=mode, refit=False)
        assert result.metrics["map"][step] == pytest.approx(fixed.metrics["map"][step], abs=1e-9)


def test_it_helps_where_pairs_are_few_and_changes_neither_end() -> None:
    with_refits = evaluate(UPGRADE, GALLERY, WORLD.queries)
    without = evaluate(UPGRADE, GALLERY, WORLD.queries, refit=False)
    assert with_refits.metrics["map"][0] == without.metrics["map"][0]
    assert with_refits.metrics["map"][-1] == without.metrics["map"][-1]
    assert with_refits.auc["map"] > without.auc["map"] + 0.005


def test_a_kernel_map_is_fitted_on_the_pairs_and_all_that_is_backfilled() -> None:
    order = backfill_order("random", GALLERY, KERNEL, seed=0)
    generations = Generations(KERNEL, GALLERY, order)
    first = generations.at(0.0).forward
    assert first is not None and first.kernel is None
    for coverage in (0.1, 0.5):
        moved = order[: round(300 * coverage)]
        again = generations.at(coverage).forward
        assert again is not None and again.kernel is not None
        both = together(FITTING, GALLERY.subset(moved))
        alone = fit_refitted_ridge(both, FitSettings()).forward
        assert alone is not None and isinstance(alone.skip, Affine)
        kernel = residual_kernel(both.old, both.new, alone.skip)
        np.testing.assert_allclose(
            again(GALLERY.old), Transform(alone.skip, kernel=kernel)(GALLERY.old), atol=1e-4
        )


def test_items_may_be_read_in_any_number_of_blocks(monkeypatch: pytest.MonkeyPatch) -> None:
    order = backfill_order("random", GALLERY, KERNEL, seed=0)
    at_once = Generations(KERNEL, GALLERY, order).at(0.5)
    monkeypatch.setattr("crossfade.evaluation.refits._BLOCK_ROWS", 7)
    in_blocks = Generations(KERNEL, GALLERY, order).at(0.5)
    wanted = at_once.map_items(GALLERY.old)
    np.testing.assert_allclose(in_blocks.map_items(GALLERY.old), wanted, atol=1e-5)


@pytest.mark.parametrize("mode", ["one-encoder", "two-encoder"])
def test_pairs_that_are_the_gallery_itself_are_not_counted_twice(mode: str) -> None:
    upgrade = fit_refitted_ridge(GALLERY, FitSettings())
    with_refits = evaluate(upgrade, GALLERY, WORLD.queries, mode=mode)
    without = evaluate(upgrade, GALLERY, WORLD.queries, mode=mode, refit=False)
    assert np.array_equal(with_refits.metrics["map"], without.metrics["map"])


@pytest.mark.parametrize("mode", ["one-encoder", "two-encoder"])
def test_where_every_item_is_a_pair_the_curve_is_flat_at_the_new_model(mode: str) -> None:
    upgrade = fit(GALLERY.without_labels(), "refitted_kernel")
    assert upgrade.offset is not None and upgrade.repeats_pairs
    assert for_gallery(upgrade, GALLERY).known == 1.0
    result = evaluate(upgrade, GALLERY, WORLD.queries, mode=mode)
    np.testing.assert_allclose(result.metrics["map"], result.new_new["map"], atol=5e-3)


def test_known_are_the_items_that_were_fitted_on_and_only_where_the_map_repeats_them() -> None:
    upgrade = fit_refitted_kernel(GALLERY.subset(range(100)), FitSettings())
    assert for_gallery(upgrade, GALLERY).known == pytest.approx(1 / 3)
    assert for_gallery(upgrade, FITTING).known == 0.0
    ridge = fit_ridge_to_kernel(GALLERY, FitSettings())
    assert for_gallery(ridge, GALLERY) is ridge
    few = fit_refitted_kernel(GALLERY.subset(range(5)), FitSettings())
    assert for_gallery(few, GALLERY) is few, "not worth counting"


def test_a_map_of_more_pairs_than_it_keeps_knows_none(monkeypatch: pytest.MonkeyPatch) -> None:
    upgrade = fit_refitted_kernel(GALLERY.subset(range(100)), FitSettings())
    order = backfill_order("random", GALLERY, upgrade, seed=0)
    applied = for_gallery(upgrade, GALLERY)
    assert Generations(applied, GALLERY, order).at(0.5).known == applied.known > 0
    monkeypatch.setattr("crossfade.upgrade.refit.MOST_LANDMARKS", 120)
    assert Generations(applied, GALLERY, order).at(0.5).known == 0.0
