"""An upgrade taught by queries after it was fitted, against one that is fitted with them."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from crossfade import QueryLog, fit
from crossfade.embeddings import unit_rows
from crossfade.errors import InvalidInput, SpaceMismatch
from crossfade.fit.kernel import fit_refitted_kernel
from crossfade.fit.settings import FitSettings
from crossfade.testing import ShiftedWorld, make_world
from crossfade.upgrade import (
    Moments,
    closeness,
    images_left_out,
    queries_to_teach,
    taught_offset,
    teaches_more,
)

WORLD = ShiftedWorld(0)


@given(st.integers(0, 2**32 - 1), st.integers(2, 30), st.integers(1, 20))
def test_moments_of_some_rows_are_those_of_all_without_the_others(
    seed: int, rest: int, out: int
) -> None:
    rng = np.random.default_rng(seed)
    x, y = rng.normal(size=(rest + out, 3)) + 2.0, rng.normal(size=(rest + out, 2))
    wanted = Moments.of(x[out:], y[out:])
    got = Moments.of(x, y) - Moments.of(x[:out], y[:out])
    assert got.n == wanted.n
    for name in ("mean_x", "mean_y", "xx", "xy"):
        np.testing.assert_allclose(getattr(got, name), getattr(wanted, name), atol=1e-9)


def test_images_are_by_maps_fitted_without_the_item() -> None:
    pairs = make_world(items=120, queries=0, noise_old=0.6).gallery.without_labels()
    upgrade = fit_refitted_kernel(pairs, FitSettings())
    assert upgrade.refit is not None and upgrade.refit.sample is not None
    images = images_left_out(upgrade.refit)
    assert images is not None
    rows = [pairs.new_rows().tolist().index(row) for row in images.new.tolist()]
    assert sorted(rows) == list(range(120)), "each once"
    seen = 0
    for fold in range(5):
        out = [row for at, row in enumerate(rows) if at % 5 == fold]
        others = pairs.subset([row for row in rows if row not in out])
        alone = fit_refitted_kernel(others, FitSettings()).forward
        assert alone is not None
        at = [rows.index(row) for row in out]
        np.testing.assert_allclose(images.raw[at], alone.raw(pairs.old_rows(out)), atol=1e-3)
        seen += len(out)
    assert seen == 120


def test_of_many_pairs_the_first_are_imaged(monkeypatch: pytest.MonkeyPatch) -> None:
    """They are in random order; to map all would take minutes."""
    monkeypatch.setattr("crossfade.upgrade.teaching._MOST_LEFT_OUT", 50)
    pairs = make_world(items=120, queries=0, noise_old=0.6).gallery.without_labels()
    refit = fit_refitted_kernel(pairs, FitSettings()).refit
    assert refit is not None and refit.sample is not None
    images = images_left_out(refit)
    assert images is not None
    np.testing.assert_array_equal(images.new, refit.sample.new[:50])


def test_what_is_taught_is_about_what_is_fitted_with_the_same_log() -> None:
    upgrade = fit(WORLD.fit, "refitted_kernel")
    later = taught_offset(upgrade, queries_to_teach(upgrade, WORLD.log), None)
    at_once = fit(WORLD.fit, "refitted_kernel", queries=WORLD.log).offset
    assert (
        later is not None
        and at_once is not None
        and at_once.distilled is not None
        and later.distilled is not None
    )
    for name in ("bank", "old_bank", "mean"):
        np.testing.assert_array_equal(getattr(later, name), getattr(at_once, name))
    for name in ("doubt", "nearest", "new_side"):
        assert getattr(later, name) == getattr(at_once, name)
    # These are means over items left out, which are others.
    for name in ("typical", "usual", "usual_old", "usual_new", "push"):
        assert getattr(later, name) == pytest.approx(getattr(at_once, name), rel=0.15, abs=0.03)
    alike = np.vdot(later.distilled, at_once.distilled) / np.sqrt(
        np.vdot(later.distilled, later.distilled) * np.vdot(at_once.distilled, at_once.distilled)
    )
    assert alike > 0.5, "two of other numbers are at right angles"


def test_a_blank_offset_changes_no_score_and_no_share() -> None:
    few = WORLD.fit.subset(range(70))
    for method in ("refitted_ridge", "refitted_mlp"):
        upgrade = fit(few, method, epochs=1)
        assert upgrade.offset is not None and upgrade.offset.is_blank
        assert upgrade.two_encoder is not None
        assert upgrade.two_encoder.weight > 0.65, "the most beside offsets"
        assert upgrade.mapped is not None and upgrade.mapped.dim == WORLD.fit.target.dim + 4
        bare = replace(upgrade, offset=None)
        queries, items = WORLD.queries, WORLD.gallery.old_rows()
        for mode in ("one-encoder", "two-encoder"):
            with_it, without = (
                one.old_side(queries.new_rows(), queries.old_rows(), mode).scores(
                    items, one.map_items(items)
                )
                for one in (upgrade, bare)
            )
            np.testing.assert_allclose(with_it, without, atol=1e-5)


@pytest.mark.parametrize("method", ["refitted_ridge", "refitted_kernel"])
def test_a_map_that_keeps_no_pairs_is_taught_by_the_first_items(
    method: str, monkeypatch: pytest.MonkeyPatch, carry_few_pairs: Callable[[int, int], None]
) -> None:
    carry_few_pairs(100, 60)
    upgrade = fit(WORLD.fit, method)
    assert upgrade.refit is not None and upgrade.forward is not None
    log, items = queries_to_teach(upgrade, WORLD.log), WORLD.gallery
    extra = upgrade.refit.gather(items.ids.tolist(), items.old_rows(), items.new_rows(), len(items))
    assert taught_offset(upgrade, log, None) is None
    assert taught_offset(upgrade, log, extra) is None, "450 are too few"
    monkeypatch.setattr("crossfade.upgrade.teaching._FEWEST_ITEMS", 450)
    offset = taught_offset(upgrade, log, extra)
    assert offset is not None and not offset.is_blank
    np.testing.assert_array_equal(np.sort(offset.bank, 0), np.sort(log.new, 0))
    # The map itself, not one that has seen the items.
    usual = closeness(upgrade.forward(items.old_rows()), offset.bank, offset.nearest).mean()
    assert offset.usual == pytest.approx(usual, abs=1e-5)
    lengths_mean_something = offset.one_encoder.u > 0
    assert lengths_mean_something == (method == "refitted_kernel")
    assert offset.one_encoder.v > 0


def test_queries_of_the_new_model_alone_are_enough() -> None:
    upgrade = fit(WORLD.fit, "refitted_kernel")
    offset = taught_offset(upgrade, queries_to_teach(upgrade, QueryLog(WORLD.log.new)), None)
    assert offset is not None
    assert len(offset.old_bank) == 0 and offset.two_encoders.t == 0
    assert len(offset.bank) == len(WORLD.log)


@pytest.mark.parametrize("method", ["forward_ridge", "forward_kernel", "ridge"])
def test_a_method_whose_map_is_not_fitted_again_is_refused(method: str) -> None:
    with pytest.raises(InvalidInput, match=f"{method}.*can't learn from queries after"):
        queries_to_teach(fit(WORLD.fit, method), WORLD.log)


def test_queries_that_teach_nothing_are_refused() -> None:
    upgrade = fit(WORLD.fit, "refitted_kernel")
    with pytest.raises(InvalidInput, match="got 199 distinct queries, wanted at least 200"):
        queries_to_teach(upgrade, WORLD.log.sample(199))
    wide = unit_rows(np.ones((300, WORLD.log.new.shape[1] + 1)))
    with pytest.raises(SpaceMismatch, match="new embeddings of queries"):
        queries_to_teach(upgrade, QueryLog(wide))


def test_twice_as_many_queries_teach_more_until_there_are_enough() -> None:
    plain = fit(WORLD.fit, "refitted_kernel")
    assert not teaches_more(plain, 0, 199) and teaches_more(plain, 0, 200)
    assert not teaches_more(plain, 300, 599) and teaches_more(plain, 300, 600)
    # A recorder keeps no more than 2,000.
    assert not teaches_more(plain, 1_500, 1_999) and teaches_more(plain, 1_500, 2_000)
    assert not teaches_more(plain, 2_000, 20_000)
    logged = fit(WORLD.fit, "refitted_kernel", queries=WORLD.log)
    assert not teaches_more(logged, 0, 599) and teaches_more(logged, 0, 600)


def test_queries_of_its_own_teach_what_was_fitted_with_as_many_texts_in_their_place() -> None:
    plain = fit(WORLD.fit, "refitted_kernel")
    assert plain.offset is not None
    bank = np.tile(plain.offset.bank, (8, 1))[:2_000]
    assert len(bank) == 2_000
    stood_in = plain.with_offset(replace(plain.offset, bank=bank, new_side=1.0))
    assert not teaches_more(stood_in, 0, 1_999) and teaches_more(stood_in, 0, 2_000)


def test_stopped_it_comes_to_nothing() -> None:
    upgrade = fit(WORLD.fit, "refitted_kernel")
    log, asked = queries_to_teach(upgrade, WORLD.log), [0]

    def after(times: int) -> Callable[[], bool]:
        asked[0] = 0

        def stopped() -> bool:
            asked[0] += 1
            return asked[0] > times

        return stopped

    assert taught_offset(upgrade, log, None, after(10_000)) is not None
    in_all = asked[0]
    assert in_all > 300, "each fold and step"
    for times in (0, 3, 40, in_all - 1):
        assert taught_offset(upgrade, log, None, after(times)) is None
        assert asked[0] <= times + 5, "at once"


def test_more_queries_teach_than_tell_hubs(monkeypatch: pytest.MonkeyPatch) -> None:
    upgrade = fit(WORLD.fit, "refitted_kernel")
    log = queries_to_teach(upgrade, WORLD.log)
    monkeypatch.setattr("crossfade.upgrade.teaching.MOST_QUERIES", 200)
    few, many = (taught_offset(upgrade, one, None) for one in (log.sample(200), log))
    assert few is not None and many is not None
    np.testing.assert_array_equal(np.sort(few.bank, 0), np.sort(many.bank, 0))
    assert few.distilled is not None and many.distilled is not None
    assert not np.allclose(few.distilled, many.distilled, atol=1e-3)


def test_a_penalty_that_was_given_holds_for_images_left_out_too() -> None:
    pairs = make_world(items=120, queries=0, noise_old=0.6).gallery.without_labels()
    settings = FitSettings().but(ridge_penalty=2.0)
    upgrade = fit_refitted_kernel(pairs, settings)
    assert upgrade.refit is not None
    images = images_left_out(upgrade.refit)
    assert images is not None
    rows = [pairs.new_rows().tolist().index(row) for row in images.new.tolist()]
    others = pairs.subset([row for at, row in enumerate(rows) if at % 5])
    alone = fit_refitted_kernel(others, settings).forward
    assert alone is not None
    np.testing.assert_allclose(images.raw[::5], alone.raw(pairs.old_rows(rows[::5])), atol=1e-3)
