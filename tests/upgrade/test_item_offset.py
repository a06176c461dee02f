"""Offsets of items: what they add, in a store that knows unit vectors alone."""

from __future__ import annotations

import json
import math
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from numpy.typing import NDArray

from crossfade import Side, Upgrade
from crossfade.embeddings import unit_rows
from crossfade.errors import ArtifactError, InvalidInput
from crossfade.fit.api import fit
from crossfade.fit.kernel import fit_forward_kernel
from crossfade.fit.ordering import with_ordering
from crossfade.fit.settings import FitSettings
from crossfade.testing import make_upgrade, make_world
from crossfade.upgrade import (
    MOST_RAISED,
    ItemOffset,
    OffsetWeights,
    closeness,
    doubt_of,
    old_share,
)
from crossfade.upgrade.artifact import _content, _restore, _tensors, _version
from crossfade.upgrade.two_encoder import Combiner, SampleScores

RNG = np.random.default_rng(0)
SAMPLE = unit_rows(RNG.normal(size=(30, 12)))
OLD = unit_rows(RNG.normal(size=(25, 12)))
NEW = unit_rows(RNG.normal(size=(6, 20)))


def with_offset() -> Upgrade:
    return make_upgrade(Side.ITEMS, rho=False, reference_old=SAMPLE, offset=True)


def slow_offset(offset: ItemOffset, old: list[float], raw: list[float]) -> list[float]:
    """u, v and t, one number after the other."""
    mean = offset.mean.tolist()
    f = slow_direction(offset, raw)
    hub = sum(x * m for x, m in zip(f, mean, strict=True)) - sum(m * m for m in mean)
    spread = sum((x - m) ** 2 for x, m in zip(raw, mean, strict=True))
    u = -hub + offset.doubt / 2 * (offset.typical - spread)
    v = offset.usual - slow_closeness(f, offset.bank.tolist(), offset.nearest)
    t = 0.0
    if len(offset.old_bank):
        t = offset.usual_old - slow_closeness(old, offset.old_bank.tolist(), offset.nearest)
    return [min(0.5, max(-0.5, term)) for term in (u, v, t)]


def slow_direction(offset: ItemOffset, raw: list[float], share: float = 1.0) -> list[float]:
    """f: the image's direction, and what D adds to it."""
    if offset.distilled is None:
        return slow_unit(raw)
    g = slow_unit(raw)
    added = [sum(x * d for x, d in zip(g, column, strict=True)) for column in offset.distilled.T]
    return slow_unit([x + share * more for x, more in zip(g, added, strict=True)])


def slow_unit(row: list[float]) -> list[float]:
    length = math.sqrt(sum(x * x for x in row))
    return [x / length for x in row]


def slow_closeness(row: list[float], bank: list[list[float]], nearest: int) -> float:
    similar = sorted(sum(x * b for x, b in zip(row, other, strict=True)) for other in bank)
    highest = similar[-nearest:]
    return sum(highest) / len(highest)


def slow_scores(
    offset: ItemOffset,
    queries: NDArray[Any],
    old: NDArray[Any],
    raw: NDArray[Any],
    weights: OffsetWeights,
) -> NDArray[np.float64]:
    """s: similarities to what is pushed away from the mean, and the weighted offsets."""
    mu = offset.mean.astype(np.float64)
    directions = np.array([slow_direction(offset, row) for row in raw.tolist()])
    pushed = mu + (1 + offset.push) * (directions - mu)
    offsets = np.array(
        [slow_offset(offset, o.tolist(), r.tolist()) for o, r in zip(old, raw, strict=True)]
    )
    return np.asarray(queries @ pushed.T + offsets @ np.array(weights))


WEIGHTS = OffsetWeights(0.3, 0.2), OffsetWeights(0.6, 0.1, 0.3)
NO_OLD_BANK = np.empty((0, 3), np.float32)


@given(
    seed=st.integers(0, 99),
    doubt=st.floats(0, 1),
    typical=st.floats(0, 2),
    weights=st.builds(OffsetWeights, *[st.floats(0, 1)] * 3),
    push=st.floats(0, 0.2),
    bank=st.sampled_from((1, 2, 9)),
    old_bank=st.sampled_from((0, 1, 5)),
    taught=st.booleans(),
)
def test_a_score_is_the_similarity_and_the_weighted_offset(
    seed: int,
    doubt: float,
    typical: float,
    weights: OffsetWeights,
    push: float,
    bank: int,
    old_bank: int,
    taught: bool,
) -> None:
    rng = np.random.default_rng(seed)
    mean = rng.normal(scale=0.2, size=5).astype(np.float32)
    vectors = unit_rows(rng.normal(size=(bank, 5)))
    old_vectors = unit_rows(rng.normal(size=(old_bank, 3))) if old_bank else NO_OLD_BANK
    numbers = {"usual": 0.4, "usual_old": 0.2, "nearest": 2, "push": push}
    matrix = rng.normal(scale=0.2, size=(5, 5)).astype(np.float32) if taught else None
    offset = ItemOffset(
        mean, vectors, old_vectors, *WEIGHTS, doubt, typical, **numbers, distilled=matrix
    )
    old = unit_rows(rng.normal(size=(4, 3)))
    raw = rng.normal(scale=0.5, size=(4, 5)).astype(np.float32)
    mapped, queries = unit_rows(raw), unit_rows(rng.normal(size=(3, 5)))
    stored, asked = offset.vectors(old, mapped, raw), offset.queries(queries, weights)
    for rows in (stored, asked):
        assert rows.shape[1] == 5 + offset.extra_dimensions and rows.dtype == np.float32
        np.testing.assert_allclose(np.linalg.norm(rows, axis=1), 1, atol=1e-6)
    wanted = slow_scores(offset, queries, old, raw, weights)
    np.testing.assert_allclose(offset.scores(asked @ stored.T, weights), wanted, atol=1e-5)
    repeated = offset.scores(asked @ offset.repeated_vectors(mapped).T, weights)
    np.testing.assert_allclose(repeated, queries @ mapped.T, atol=1e-5)
    for known, share in ((0.0, 1.0), (0.5, 0.5), (1.0, 0.0)):
        f = np.array([slow_direction(offset, row, share) for row in mapped.tolist()])
        pushed = mean + (1 + share * push) * (f - mean)
        typical_scores = offset.scores(asked @ offset.typical_vectors(mapped, known).T, weights)
        np.testing.assert_allclose(typical_scores, queries @ pushed.T, atol=1e-5)


def test_a_short_image_and_one_far_from_the_mean_are_raised() -> None:
    mean = np.array([0.4, 0.0, 0.0], np.float32)
    offset = ItemOffset(mean, mean[None], NO_OLD_BANK, *WEIGHTS, doubt=0.8, typical=0.5)
    directions = unit_rows([[0, 1, 0], [0, 1, 0], [0.9, 0.4, 0]])
    raw = directions * np.array([[0.9], [0.5], [0.9]], np.float32)
    weights = OffsetWeights(offset.weights(two_encoders=True).u, 0.0)
    asked = offset.queries(unit_rows([[0, 1, 0]]), weights)
    stored = offset.vectors(directions, directions, raw)
    sure, unsure, hub = offset.scores(asked @ stored.T, weights)[0]
    assert unsure > sure > hub
    assert sure - hub > 1 - directions[2, 1], "more than it is less similar"


def test_what_many_of_the_bank_are_near_to_is_lowered() -> None:
    bank = unit_rows([[1, 0.1, 0], [1, -0.1, 0], [1, 0, 0.1], [0, 0, 1]])
    offset = ItemOffset(np.zeros(3, np.float32), bank, -bank, *WEIGHTS, nearest=3)
    mapped = unit_rows(np.eye(3))
    hub, anywhere, one = offset.of(mapped, mapped, mapped)[:, 1].tolist()
    assert hub < one < anywhere, "one of the bank alone makes no hub"
    # The same by old vectors, in a bank that is the other way round.
    old = offset.of(-mapped, mapped, mapped)[:, 2].tolist()
    assert old == pytest.approx([hub, anywhere, one])
    alone = offset.of(mapped[:1], mapped[:1], mapped[:1])
    np.testing.assert_array_equal(offset.of(mapped, mapped, mapped)[:1], alone)


def test_a_bank_smaller_than_what_is_nearest_counts_as_a_whole() -> None:
    bank = unit_rows(RNG.normal(size=(2, 3)))
    np.testing.assert_allclose(closeness(bank, bank, 10), (bank @ bank.T).mean(axis=1), atol=1e-6)


def test_the_more_pairs_the_more_a_length_means() -> None:
    doubts = [doubt_of(ratio) for ratio in (1e-3, 0.3, 1, 10, 30, 1e6)]
    assert doubts == sorted(doubts) and doubts[0] == 0.3 and doubts[-1] == 0.85
    assert doubt_of(1.0) == pytest.approx(0.53)
    assert old_share(0.7, offsets=True) == 0.65 < old_share(0.7)
    assert old_share(10.0, offsets=True) == old_share(10.0)


def test_an_upgrade_scores_by_it_in_either_mode_and_its_space_is_wider() -> None:
    upgrade = with_offset()
    plain = replace(upgrade, offset=None)
    assert upgrade.offset is not None and upgrade.mapped is not None and plain.mapped is not None
    assert upgrade.mapped.dim == plain.mapped.dim + 4 == 24
    assert upgrade.mapped.name != plain.mapped.name and upgrade.id != plain.id
    mapped = upgrade.map_items(OLD)
    assert mapped is not None and mapped.shape == (25, 24)
    side, plain_side = upgrade.old_side(NEW), plain.old_side(NEW)
    assert upgrade.forward is not None
    raw = upgrade.forward.raw(OLD)
    queries = plain_side.search_query
    one, two = upgrade.offset.one_encoder, upgrade.offset.two_encoders
    wanted = upgrade.calibration(slow_scores(upgrade.offset, queries, OLD, raw, one))
    np.testing.assert_allclose(side.scores(OLD, mapped), wanted, atol=1e-4)
    queries_old = unit_rows(RNG.normal(size=(6, 12)))
    both = upgrade.old_side(NEW, queries_old, "two-encoder")
    assert both.offset_weights == upgrade.offset.two_encoders != side.offset_weights
    assert np.isfinite(both.scores(OLD, mapped)).all()
    # By hand: the sample's items have no offset, the gallery's have it in full; all are pushed.
    rule = upgrade.two_encoder
    assert rule is not None
    images, nothing = upgrade.forward.raw(SAMPLE), OffsetWeights(0.0, 0.0)
    sample = SampleScores(
        upgrade.calibration(slow_scores(upgrade.offset, queries, SAMPLE, images, nothing)),
        queries_old @ SAMPLE.T,
        NEW @ rule.reference_new.T,
    )
    raised = upgrade.calibration(slow_scores(upgrade.offset, queries, OLD, raw, two))
    wanted = Combiner(rule, sample).old_side(raised, queries_old @ OLD.T)
    np.testing.assert_allclose(both.scores(OLD, mapped), wanted, atol=1e-3)


def test_what_a_map_repeats_counts_as_backfilled() -> None:
    upgrade = with_offset().with_known(1.0)
    assert upgrade.old_side(NEW).offset_weights == (0.0, 0.0, 0.0)
    queries_old = unit_rows(RNG.normal(size=(6, 12)))
    side = upgrade.old_side(NEW, queries_old, "two-encoder")
    new, old = NEW @ unit_rows(RNG.normal(size=(9, 20))).T, queries_old @ OLD[:9].T
    np.testing.assert_array_equal(side.backfilled(new, old, 0.0), new)
    half = with_offset().with_known(0.5)
    assert half.two_encoder is not None and with_offset().two_encoder is not None
    rule = with_offset().two_encoder
    assert rule is not None
    assert half.two_encoder.new_share(0.5, half.known) == pytest.approx(rule.new_share(0.75))
    # What is not known needs the old model as much as ever: more than half of it is left.
    assert half.two_encoder.old_weight(half.known) == pytest.approx(rule.weight * (1 - 0.5**1.5))
    assert [rule.old_weight(known) for known in (0.0, 1.0)] == [rule.weight, 0.0]
    one = with_offset().old_side(NEW).offset_weights
    assert one is not None and one.u > 0
    assert half.old_side(NEW).offset_weights == pytest.approx(one.times(1 - 0.5**1.5))
    assert half.id == with_offset().id, "of a gallery, not of the artifact"
    for share in (-0.1, 1.5, float("nan")):
        with pytest.raises(InvalidInput, match="share of known items"):
            with_offset().with_known(share)


def test_it_is_kept_in_the_artifact_under_a_version_of_its_own(tmp_path: Path) -> None:
    upgrade = with_offset()
    upgrade.save(tmp_path / "u")
    manifest = json.loads((tmp_path / "u" / "upgrade.json").read_text())
    assert manifest["format_version"] == 7, "an earlier release would leave the offsets out"
    again = Upgrade.load(tmp_path / "u")
    assert again.id == upgrade.id and again.mapped == upgrade.mapped
    np.testing.assert_array_equal(again.map_items(OLD), upgrade.map_items(OLD))
    path = tmp_path / "u" / "upgrade.json"
    path.write_text(path.read_text().replace('"doubt": 0.025', '"doubt": 0.125'))
    with pytest.raises(ArtifactError, match="edited"):
        Upgrade.load(tmp_path / "u")


def test_offsets_as_an_earlier_format_kept_them_are_refused_in_words(tmp_path: Path) -> None:
    upgrade = with_offset()
    kept = _tensors(upgrade)
    del kept["offset.bank"]
    with pytest.raises(ArtifactError, match="offsets of items of format 4 are no longer read"):
        _restore(_content(upgrade), kept)


def test_what_does_not_fit_is_refused() -> None:
    upgrade = with_offset()
    assert upgrade.offset is not None
    with pytest.raises(InvalidInput, match=r"shape \(3,\), wanted \(20,\)"):
        narrow = ItemOffset(np.zeros(3, np.float32), np.eye(3, dtype=np.float32), SAMPLE, *WEIGHTS)
        replace(upgrade, offset=narrow)
    with pytest.raises(InvalidInput, match="forward map alone"):
        replace(make_upgrade(Side.QUERY), offset=upgrade.offset)
    with pytest.raises(InvalidInput, match="doubt is -1"):
        replace(upgrade.offset, doubt=-1.0)
    with pytest.raises(InvalidInput, match="push is nan"):
        replace(upgrade.offset, push=math.nan)
    with pytest.raises(InvalidInput, match=r"bank has shape \(4, 3\), wanted \(m, 20\)"):
        replace(upgrade.offset, bank=np.ones((4, 3), np.float32))
    with pytest.raises(InvalidInput, match=r"bank has shape \(0, 20\)"):
        replace(upgrade.offset, bank=np.empty((0, 20), np.float32))
    with pytest.raises(InvalidInput, match=r"two_encoders\.v is -1"):
        replace(upgrade.offset, two_encoders=OffsetWeights(0.1, -1.0))
    with pytest.raises(InvalidInput, match=r"old bank has shape \(7,\)"):
        replace(upgrade.offset, old_bank=np.ones(7, np.float32))
    with pytest.raises(InvalidInput, match=r"old bank has shape \(2, 9\), wanted \(m, 12\)"):
        wide = np.ones((2, 9), np.float32)
        replace(upgrade, offset=replace(upgrade.offset, old_bank=wide))
    with pytest.raises(InvalidInput, match="banks hold NaN"):
        replace(upgrade.offset, bank=np.full((2, 20), np.nan, np.float32))
    with pytest.raises(InvalidInput, match="usual is inf"):
        replace(upgrade.offset, usual=math.inf)
    with pytest.raises(InvalidInput, match="nearest is 0"):
        replace(upgrade.offset, nearest=0)
    with pytest.raises(InvalidInput, match=r"shape \(20, 3\), wanted \(20, 20\)"):
        replace(upgrade.offset, distilled=np.ones((20, 3), np.float32))
    with pytest.raises(InvalidInput, match=r"matrix .* all finite"):
        replace(upgrade.offset, distilled=np.full((20, 20), np.nan, np.float32))
    with pytest.raises(InvalidInput, match="all finite"):
        replace(upgrade.offset, mean=np.full(20, np.nan, np.float32))


@pytest.mark.parametrize("most_carried", [149, 150])
def test_what_was_fitted_on_has_no_offset(
    most_carried: int, carry_few_pairs: Callable[[int, int], None]
) -> None:
    carry_few_pairs(most_carried, 150 if most_carried == 150 else 60)
    pairs = make_world(items=200, queries=0).gallery.without_labels()
    upgrade = fit(pairs.subset(range(150)), "refitted_kernel")
    assert upgrade.refit is not None and upgrade.refit.corrects == (most_carried < 150)
    assert (upgrade.refit.sample is None) == upgrade.refit.corrects
    assert upgrade.offset is not None and upgrade.offset.doubt > 0
    assert np.isin(upgrade.offset.bank, pairs.new).all() and len(upgrade.offset.bank) > 100
    mapped = upgrade.map_items(pairs.old)
    assert mapped is not None
    offsets = mapped[:, -4:-1]
    assert (offsets[:150] == 0).all() and (offsets[150:] != 0).all()


def test_kernels_are_of_the_later_versions_without_an_offset_too(tmp_path: Path) -> None:
    pairs = make_world(items=80, queries=0).gallery.without_labels()
    upgrade = fit(pairs, "forward_kernel")
    assert upgrade.offset is None and upgrade.forward is not None
    assert upgrade.forward.kernel is not None and upgrade.forward.kernel.nugget > 0
    kernel = upgrade.forward.kernel
    of_before = replace(kernel, inputs=None)
    oldest = replace(of_before, nugget=0.0)
    for version, made in ((5, kernel), (4, of_before), (2, oldest)):
        changed = replace(upgrade, forward=replace(upgrade.forward, kernel=made))
        changed.save(tmp_path / "u")
        manifest = json.loads((tmp_path / "u" / "upgrade.json").read_text())
        assert manifest["format_version"] == version
        assert Upgrade.load(tmp_path / "u").id == changed.id


def test_orders_are_learned_without_what_a_kernel_repeats() -> None:
    """On the pairs themselves residuals are nothing and offsets tell only who was fitted on."""
    pairs = make_world(items=400, queries=0, noise_old=0.6).gallery.without_labels()
    upgrade = fit(pairs.subset(range(300)), "refitted_kernel")
    assert upgrade.ordering is not None and upgrade.forward is not None
    exact = fit_forward_kernel(pairs.subset(range(300)), FitSettings())
    assert exact.forward is not None
    smooth = replace(exact, forward=exact.forward.with_nugget_share(0.0))
    want = with_ordering(smooth, pairs.subset(range(300)), FitSettings()).ordering
    assert want is not None
    for name in ("residual", "gain"):
        got, wanted = getattr(upgrade.ordering, name), getattr(want, name)
        np.testing.assert_allclose(got.weight, wanted.weight, rtol=0.2, atol=0.2)


def test_backfilled_hubs_are_lowered_less_and_less_and_at_the_end_not_at_all() -> None:
    upgrade = with_offset()
    offset = upgrade.offset
    assert offset is not None
    new = unit_rows(RNG.normal(size=(6, 20)))
    hubs = offset.of_new(new)
    wanted = offset.usual_new - np.sort(new @ offset.bank.T, axis=1)[:, -3:].mean(axis=1)
    np.testing.assert_allclose(hubs, np.minimum(wanted, MOST_RAISED), atol=1e-6)
    similar = np.zeros((2, 6), np.float32)
    for mode, weights in (
        ("one-encoder", offset.one_encoder),
        ("two-encoder", offset.two_encoders),
    ):
        side = upgrade.old_side(new[:2], unit_rows(RNG.normal(size=(2, 12))), mode)
        for coverage in (0.0, 0.25, 1.0):
            share = offset.new_side * weights.v * (1 - coverage)
            np.testing.assert_allclose(
                side.lowered(similar, hubs, coverage), np.tile(share * hubs, (2, 1)), atol=1e-6
            )
    assert side.lowered(similar, hubs, 1.0) is similar
    # What a gallery's items are fitted on needs none of it.
    assert upgrade.with_known(1.0).old_side(new[:2]).hub_share(0.0) == 0
    assert replace(upgrade, offset=None).old_side(new[:2]).hub_share(0.0) == 0


def test_offsets_of_mapped_items_alone_keep_their_fingerprint_and_their_format() -> None:
    upgrade = with_offset()
    assert upgrade.offset is not None
    untaught = replace(upgrade.offset, distilled=None)
    alone = replace(untaught, new_side=0.0, usual_new=0.0)
    assert len({one.fingerprint for one in (upgrade.offset, untaught, alone)}) == 3
    assert "new_side" not in alone.describe() and "distilled" not in untaught.tensors()
    for version, offset in ((7, upgrade.offset), (6, untaught), (5, alone)):
        assert _version(replace(upgrade, offset=offset)) == version
    assert ItemOffset.restore(alone.describe(), alone.tensors()).new_side == 0.0


def test_an_image_that_the_matrix_takes_to_nothing_keeps_its_direction() -> None:
    none = np.zeros(3, np.float32)
    matrix = -np.diag([1.0, 0.5, 0.0]).astype(np.float32)
    offset = ItemOffset(none, np.eye(3, dtype=np.float32), NO_OLD_BANK, *WEIGHTS, distilled=matrix)
    images = np.eye(3, dtype=np.float32)
    stored = offset.vectors(images, images, images)
    scores = offset.scores(
        offset.queries(images, OffsetWeights(0, 0)) @ stored.T, OffsetWeights(0, 0)
    )
    np.testing.assert_allclose(scores, np.eye(3), atol=1e-6)
