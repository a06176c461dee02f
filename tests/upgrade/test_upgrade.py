"""An upgrade on both sides of a gallery, in every mode."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from random_upgrades import calibrations, random_transform, random_upgrade, upgrades

from crossfade import Mode, Side, Space, Upgrade
from crossfade.embeddings import unit_rows
from crossfade.errors import InvalidInput, SpaceMismatch
from crossfade.upgrade import Calibration, TwoEncoder
from crossfade.upgrade.two_encoder import Combiner, SampleScores

RNG = np.random.default_rng(0)
OLD, NEW = unit_rows(RNG.normal(size=(12, 3))), unit_rows(RNG.normal(size=(12, 4)))
CURVED = Calibration((-0.5, 0.0, 0.5), (0.0, 0.2, 0.9))


def test_a_query_side_map_searches_the_old_vectors_as_they_are() -> None:
    upgrade = random_upgrade(Side.QUERY, calibration=CURVED)
    side = upgrade.old_side(NEW)
    assert upgrade.map_items(OLD) is None
    assert upgrade.mapped is None
    assert upgrade.psi is not None
    np.testing.assert_array_equal(side.search_query, upgrade.psi(NEW))
    np.testing.assert_allclose(side.scores(OLD, None), CURVED(upgrade.psi(NEW) @ OLD.T), atol=1e-6)


def test_an_item_side_map_is_searched_with_the_plain_new_query() -> None:
    upgrade = random_upgrade(Side.ITEMS, calibration=CURVED)
    mapped = upgrade.map_items(OLD)
    assert upgrade.forward is not None and mapped is not None
    np.testing.assert_array_equal(mapped, upgrade.forward(OLD))
    side = upgrade.old_side(NEW)
    np.testing.assert_array_equal(side.search_query, NEW)
    np.testing.assert_allclose(side.scores(OLD, mapped), CURVED(NEW @ mapped.T), atol=1e-6)


def test_without_a_map_the_old_query_searches_the_old_vectors() -> None:
    upgrade = random_upgrade(Side.NONE, calibration=CURVED)
    for mode in (Mode.ONE_ENCODER, Mode.TWO_ENCODER):
        side = upgrade.old_side(NEW, OLD, mode)
        np.testing.assert_array_equal(side.search_query, OLD)
        np.testing.assert_allclose(side.scores(OLD, None), CURVED(OLD @ OLD.T), atol=1e-6)


@pytest.mark.parametrize("side", [Side.QUERY, Side.ITEMS])
def test_rho_changes_what_is_stored_and_what_the_new_query_is(side: Side) -> None:
    upgrade = random_upgrade(side, rho=True)
    assert upgrade.rho is not None
    np.testing.assert_array_equal(upgrade.store_new(NEW), upgrade.rho(NEW))
    searched = upgrade.old_side(NEW).search_query
    wanted = upgrade.psi(NEW) if upgrade.psi else upgrade.rho(NEW)
    np.testing.assert_array_equal(searched, wanted)
    np.testing.assert_array_equal(random_upgrade(side).store_new(NEW), NEW)


@pytest.mark.parametrize("side", [Side.QUERY, Side.ITEMS])
@pytest.mark.parametrize("weight", [0.0, 0.4, 1.0])
def test_two_encoders_combine_calibrated_mapped_scores_with_old_ones(
    side: Side, weight: float
) -> None:
    upgrade = random_upgrade(side, calibration=CURVED, two_encoder=weight)
    rule = upgrade.two_encoder
    assert rule is not None
    mapped = upgrade.map_items(OLD)
    items = OLD if mapped is None else mapped
    sample = rule.reference_old
    sample_items = sample if mapped is None else upgrade.map_items(sample)
    query = upgrade.old_side(NEW).search_query
    of_sample = SampleScores(
        mapped=CURVED(query @ sample_items.T),
        old=OLD @ sample.T,
        new=upgrade.store_new(NEW) @ upgrade.store_new(rule.reference_new).T,
    )
    combine = Combiner(rule, of_sample)
    both = upgrade.old_side(NEW, OLD, "two-encoder")
    np.testing.assert_allclose(
        both.scores(OLD, mapped), combine.old_side(CURVED(query @ items.T), OLD @ OLD.T), atol=1e-5
    )
    new_scores = upgrade.store_new(NEW) @ upgrade.store_new(NEW).T
    np.testing.assert_allclose(
        both.backfilled(new_scores, OLD @ OLD.T, 0.25),
        combine.new_side(new_scores, OLD @ OLD.T, 0.25),
        atol=1e-5,
    )
    np.testing.assert_array_equal(both.of(slice(1, 3)).scores(OLD, mapped).shape, (2, len(OLD)))
    np.testing.assert_allclose(
        both.of(slice(1, 3)).scores(OLD, mapped), both.scores(OLD, mapped)[1:3], atol=1e-5
    )
    if weight == 1:
        order = np.argsort(both.scores(OLD, mapped), axis=1)
        np.testing.assert_array_equal(order, np.argsort(OLD @ OLD.T, axis=1))


@given(upgrades())
def test_scores_have_a_row_a_query_and_a_column_an_item(upgrade: Upgrade) -> None:
    rng = np.random.default_rng(1)
    old = unit_rows(rng.normal(size=(5, upgrade.source.dim)))
    new = unit_rows(rng.normal(size=(2, upgrade.target.dim)))
    mapped = upgrade.map_items(old)
    for mode in (Mode.ONE_ENCODER, Mode.TWO_ENCODER):
        if mode is Mode.TWO_ENCODER and not upgrade.two_encoder and upgrade.side is not Side.NONE:
            continue
        scores = upgrade.old_side(new, old[:2], mode).scores(old, mapped)
        assert scores.shape == (2, 5)
        assert scores.dtype == np.float32
        assert np.isfinite(scores).all()


@given(calibrations())
def test_calibration_never_changes_the_ranks_within_the_old_side(
    calibration: Calibration,
) -> None:
    plain, calibrated = random_upgrade(), random_upgrade(calibration=calibration)
    raw = plain.old_side(NEW).scores(OLD, None)
    scaled = calibrated.old_side(NEW).scores(OLD, None)
    rises = np.take_along_axis(scaled, np.argsort(raw, axis=1), axis=1)
    assert (np.diff(rises, axis=1) >= 0).all()


@pytest.mark.parametrize(
    ("side", "mode"),
    [(Side.NONE, "one-encoder"), (Side.NONE, "two-encoder")]
    + [(side, "two-encoder") for side in (Side.QUERY, Side.ITEMS)],
)
def test_an_old_query_that_is_needed_and_missing_is_asked_for(side: Side, mode: str) -> None:
    upgrade = random_upgrade(side, two_encoder=None if side is Side.NONE else 0.5)
    with pytest.raises(InvalidInput, match="give query_old"):
        upgrade.old_side(NEW, mode=mode)


@pytest.mark.parametrize("side", [Side.QUERY, Side.ITEMS])
def test_two_encoders_without_a_rule_to_combine_them_are_refused(side: Side) -> None:
    with pytest.raises(InvalidInput, match="no rule for two encoders"):
        random_upgrade(side).old_side(NEW, OLD, Mode.TWO_ENCODER)


@pytest.mark.parametrize("side", Side)
def test_the_old_system_has_no_sides(side: Side) -> None:
    with pytest.raises(InvalidInput, match="'old' knows no sides"):
        random_upgrade(side).old_side(NEW, OLD, Mode.OLD)


def test_an_unknown_mode_is_refused_with_the_known_ones() -> None:
    with pytest.raises(InvalidInput, match="'both'; choose one of one-encoder, two-encoder, old"):
        random_upgrade().old_side(NEW, OLD, "both")


@pytest.mark.parametrize(
    ("query_new", "query_old", "error", "why"),
    [
        (NEW[:, :3], OLD, SpaceMismatch, "query_new has dimension 3, wanted 4"),
        (NEW, OLD[:, :2], SpaceMismatch, "query_old has dimension 2, wanted 3"),
        (NEW, OLD[:5], InvalidInput, "query_old has 5 rows, query_new 12"),
        (NEW * np.nan, OLD, InvalidInput, "query_new row 0 holds NaN"),
        (NEW, OLD * 0, InvalidInput, "query_old row 0 is the zero vector"),
    ],
)
def test_bad_queries_are_refused(
    query_new: Any, query_old: Any, error: type[Exception], why: str
) -> None:
    """The old model's embeddings too where the mode does without them."""
    for mode in ("one-encoder", "two-encoder"):
        with pytest.raises(error, match=why):
            random_upgrade(two_encoder=0.5).old_side(query_new, query_old, mode)


def test_a_single_query_vector_is_a_batch_of_one() -> None:
    assert random_upgrade().old_side(NEW[0]).scores(OLD, None).shape == (1, 12)


def test_vectors_of_another_width_are_never_mapped() -> None:
    upgrade = random_upgrade(Side.ITEMS)
    with pytest.raises(SpaceMismatch):
        upgrade.map_items(NEW)
    with pytest.raises(SpaceMismatch):
        upgrade.store_new(OLD)


def test_the_spaces_of_stored_and_mapped_vectors_are_the_maps_own() -> None:
    plain, headed = random_upgrade(Side.ITEMS), random_upgrade(Side.ITEMS, rho=True)
    assert plain.stored == Space("new", 4)
    names = {
        space.name
        for upgrade in (plain, headed, random_upgrade(Side.ITEMS, rho=True, seed=1))
        for space in (upgrade.stored, upgrade.mapped)
        if space is not None
    }
    assert len(names) == 6


def parts(**changed: Any) -> dict[str, Any]:
    rng = np.random.default_rng(0)
    return {
        "method": "m",
        "source": Space("old", 3),
        "target": Space("new", 4),
        "side": Side.QUERY,
        "psi": random_transform(rng, 4, 3),
        **changed,
    }


@pytest.mark.parametrize(
    ("changed", "why"),
    [
        ({"psi": None}, "side 'query' takes psi, psi is missing"),
        ({"side": Side.ITEMS}, "side 'items' takes forward, psi is given"),
        ({"side": Side.NONE}, "side 'none' takes no map, psi is given"),
        ({"forward": random_transform(RNG, 3, 4)}, "takes psi, forward is given"),
        ({"psi": random_transform(RNG, 3, 4)}, "psi maps 3 to 4 dimensions, wanted 4 to 3"),
        ({"rho": random_transform(RNG, 3, 3)}, "rho maps 3 to 3 dimensions, wanted 4 to 4"),
        (
            {"two_encoder": TwoEncoder(0.5, 0.5, NEW, NEW)},
            "sample has shape \\(12, 4\\), wanted \\(m, 3\\)",
        ),
        (
            {"two_encoder": TwoEncoder(0.5, 0.5, OLD, OLD)},
            "sample has shape \\(12, 3\\), wanted \\(m, 4\\)",
        ),
    ],
)
def test_parts_that_do_not_fit_the_spaces_are_refused(changed: dict[str, Any], why: str) -> None:
    with pytest.raises(InvalidInput, match=why):
        Upgrade(**parts(**changed))


def test_the_id_tells_apart_whatever_decides_answers() -> None:
    base = random_upgrade(calibration=CURVED, rho=True, two_encoder=0.5)
    assert base.psi is not None and base.two_encoder is not None
    sample, images = base.two_encoder.reference_old, base.two_encoder.reference_new
    changes: list[dict[str, Any]] = [
        {"method": "other"},
        {"source": Space("older", 3)},
        {"target": Space("newer", 4)},
        {"psi": random_transform(np.random.default_rng(9), 4, 3)},
        {"rho": None},
        {"rho": random_transform(np.random.default_rng(9), 4, 4)},
        {"side": Side.NONE, "psi": None},
        {"calibration": Calibration()},
        {"calibration": Calibration(CURVED.x, (0.0, 0.2, 0.91))},
        {"two_encoder": None},
        {"two_encoder": TwoEncoder(0.51, 0.5, sample, images)},
        {"two_encoder": TwoEncoder(0.5, 0.51, sample, images)},
        {"two_encoder": TwoEncoder(0.5, 0.5, sample[::-1], images)},
        {"two_encoder": TwoEncoder(0.5, 0.5, sample, images[::-1])},
    ]
    ids = [replace(base, **change).id for change in changes]
    assert len({base.id, *ids}) == 1 + len(changes)


def test_the_id_does_not_depend_on_the_report() -> None:
    base = random_upgrade()
    assert replace(base, report={"seconds": 99.0}).id == base.id
    assert random_upgrade().id == base.id


@given(st.integers(0, 9))
def test_the_id_of_one_changed_weight_is_another(index: int) -> None:
    base = random_upgrade(hidden=())
    assert base.psi is not None
    tensors = base.psi.tensors()
    weight = tensors["layers.0.weight"].copy()
    weight.flat[index] = np.nextafter(weight.flat[index], np.float32(9))
    changed = type(base.psi).restore(base.psi.describe(), {**tensors, "layers.0.weight": weight})
    assert replace(base, psi=changed).id != base.id
