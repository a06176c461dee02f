"""Searches of a gallery at every coverage, against the slow reference."""

from collections.abc import Callable
from dataclasses import replace
from typing import Any

import numpy as np
import pytest

from crossfade.errors import GalleryStateError, InvalidInput, SpaceMismatch
from crossfade.gallery import Gallery, Hit, start_gallery
from crossfade.gallery.ends import roll_back
from crossfade.testing import Embedded, World, expected_ids, fill, make_upgrade, upgrade_of
from crossfade.upgrade import Affine, Calibration, Interpolation, Side, Transform, Upgrade

Opener = Callable[[Upgrade], Gallery]
SIDES = [Side.QUERY, Side.ITEMS, Side.NONE]


def ids(found: list[list[Hit]]) -> list[list[Any]]:
    return [[hit.id for hit in hits] for hits in found]


@pytest.mark.parametrize("side", SIDES)
@pytest.mark.parametrize("moved", [0, 100, 240])
def test_every_mode_finds_what_the_reference_finds(
    opened: Opener, world: World, side: Side, moved: int
) -> None:
    upgrade = upgrade_of(world, side)
    gallery = opened(upgrade)
    items = fill(gallery, world, moved)
    new, old = world.queries.new, world.queries.old
    for mode in ("one-encoder", "two-encoder", "old"):
        expected = expected_ids(upgrade, items, new, old, 1000, mode)
        for k in (1, 10, 1000):
            found = gallery.search(new, k, query_old=old, mode=mode)
            assert ids(found) == [listed[:k] for listed in expected], (mode, k)


@pytest.mark.parametrize("moved", [0, 1, 100, 230, 240])
def test_hubs_of_either_side_are_lowered_as_in_the_reference(
    opened: Opener, world: World, moved: int
) -> None:
    upgrade = upgrade_of(world, Side.ITEMS, rho=False, offset=True)
    assert upgrade.offset is not None and upgrade.offset.new_side > 0
    gallery = opened(upgrade)
    items = fill(gallery, world, moved)
    new, old = world.queries.new, world.queries.old
    for mode in ("one-encoder", "two-encoder"):
        expected = expected_ids(upgrade, items, new, old, 1000, mode)
        for k in (1, 10, 1000):
            found = gallery.search(new, k, query_old=old, mode=mode)
            assert ids(found) == [listed[:k] for listed in expected], (mode, k)


def test_the_best_is_found_though_hubs_are_more_similar(
    opened: Opener, world: World, monkeypatch: pytest.MonkeyPatch
) -> None:
    """An exact search looks deeper than it does at first, until nothing can come above."""
    monkeypatch.setattr("crossfade.gallery.sides.over_fetch", lambda k: 2 * k)
    upgrade = upgrade_of(world, Side.ITEMS, rho=False, offset=True)
    assert upgrade.offset is not None
    heavy = upgrade.offset.one_encoder._replace(v=100.0)
    upgrade = replace(upgrade, offset=replace(upgrade.offset, one_encoder=heavy))
    gallery = opened(upgrade)
    items = fill(gallery, world, 200)
    new, old = world.queries.new, world.queries.old
    expected = expected_ids(upgrade, items, new, old, 240)
    similar = new @ world.gallery.new[:200].T
    places = np.argsort(np.argsort(-similar, axis=1), axis=1)
    best = [next(int(id) for id in listed if int(id) < 200) for listed in expected]
    assert max(row[id] for row, id in zip(places, best, strict=True)) > 2
    for k in (1, 5):
        assert ids(gallery.search(new, k)) == [listed[:k] for listed in expected]


@pytest.mark.parametrize("mode", ["one-encoder", "two-encoder"])
def test_an_interpolated_query_finds_what_the_reference_finds(
    opened: Opener, world: World, mode: str
) -> None:
    upgrade = replace(
        make_upgrade(Side.QUERY), two_encoder=None, interpolation=Interpolation(0.3, 1.5)
    )
    gallery = opened(upgrade)
    items = fill(gallery, world, 100)
    new, old = world.queries.new, world.queries.old
    expected = expected_ids(upgrade, items, new, old, 50, mode)
    assert ids(gallery.search(new, 50, query_old=old, mode=mode)) == expected
    with pytest.raises(InvalidInput, match="needs the old model's embedding of the query"):
        gallery.search(new, 5, mode=mode)


@pytest.mark.parametrize("side", SIDES)
def test_at_coverage_one_the_answer_is_a_plain_search_of_the_new_embeddings(
    opened: Opener, world: World, side: Side
) -> None:
    upgrade = upgrade_of(world, side)
    gallery = opened(upgrade)
    fill(gallery, world, moved=240)
    plain = upgrade.store_new(world.queries.new) @ upgrade.store_new(world.gallery.new).T
    expected = np.argsort(-plain, axis=1, kind="stable")[:, :25].tolist()
    for mode in ("one-encoder", "two-encoder"):
        found = gallery.search(world.queries.new, 25, query_old=world.queries.old, mode=mode)
        assert ids(found) == expected
        assert all(hit.side == "new" for hits in found for hit in hits)


@pytest.mark.parametrize("moved", [0, 17, 240])
def test_mode_old_is_the_old_system_at_every_coverage(
    opened: Opener, world: World, moved: int
) -> None:
    gallery = opened(upgrade_of(world, Side.ITEMS))
    fill(gallery, world, moved)
    plain = world.queries.old @ world.gallery.old.T
    expected = np.argsort(-plain, axis=1, kind="stable")[:, :25].tolist()
    found = gallery.search(None, 25, query_old=world.queries.old, mode="old")
    assert ids(found) == expected
    assert all(hit.side == "old" for hits in found for hit in hits)


def test_two_encoders_need_no_more_than_the_candidates_where_the_views_agree(
    opened: Opener, world: World
) -> None:
    """Inexact search rescores 100 candidates of either view; here they hold the best."""
    upgrade = upgrade_of(world, Side.QUERY)
    gallery = opened(upgrade)
    items = fill(gallery, world, moved=50)
    new, old = world.queries.new, world.queries.old
    found = gallery.search(new, 3, query_old=old, mode="two-encoder", exact=False)
    expected = expected_ids(upgrade, items, new, old, 3, "two-encoder")
    agreeing = sum(got == wanted for got, wanted in zip(ids(found), expected, strict=True))
    assert agreeing >= 4


def test_hits_carry_score_side_and_payload(opened: Opener, world: World) -> None:
    upgrade = upgrade_of(world, Side.QUERY, rho=False, calibration=Calibration())
    gallery = opened(upgrade)
    fill(gallery, world, moved=100)
    (hits,) = gallery.search(world.gallery.new[7], 240)
    assert hits[0].id == 7 and hits[0].side == "new"
    assert hits[0].score == pytest.approx(1.0, abs=1e-6)
    for hit in hits:
        assert hit.side == ("new" if int(hit.id) < 100 else "old")
        assert hit.payload == {"label": int(world.gallery.labels[hit.id]), "row": hit.id}
    assert upgrade.psi is not None
    mapped = upgrade.psi(world.gallery.new[7:8])
    by_id = {hit.id: hit.score for hit in hits}
    assert by_id[200] == pytest.approx(float(mapped[0] @ world.gallery.old[200]), abs=1e-5)


def test_filters_hold_on_both_sides_and_in_every_mode(opened: Opener, world: World) -> None:
    upgrade = upgrade_of(world, Side.ITEMS)
    gallery = opened(upgrade)
    items = fill(gallery, world, moved=100)
    new, old = world.queries.new, world.queries.old
    passing = {id: item for id, item in items.items() if world.gallery.labels[id] == 3}
    for mode in ("one-encoder", "two-encoder", "old"):
        found = gallery.search(new, 15, query_old=old, mode=mode, filter={"label": 3})
        wanted = expected_ids(upgrade, passing, new, old, 15, mode, coverage=100 / 240)
        assert ids(found) == wanted


def test_a_tie_between_the_sides_is_in_order_of_id(opened: Opener) -> None:
    upgrade = make_upgrade(rho=False, calibration=Calibration(), dim_old=4, dim_new=4)
    gallery = opened(upgrade)
    query = np.eye(4, dtype=np.float32)[0]
    assert upgrade.psi is not None
    as_old = upgrade.psi(query[None])[0]
    gallery.upsert([1, 3, "b"], old=[as_old] * 3)
    gallery.upsert([2, 4, "a"], new=[query] * 3)
    (hits,) = gallery.search(query, 6)
    scores = {round(hit.score, 5) for hit in hits}
    assert scores == {1.0}
    new_scores = [hit.id for hit in hits if hit.side == "new"]
    assert new_scores == [2, 4, "a"]
    assert [hit.id for hit in hits if hit.side == "old"] == [1, 3, "b"]


def test_one_query_may_be_a_plain_vector_and_no_query_gives_no_list(
    opened: Opener, world: World
) -> None:
    gallery = opened(upgrade_of(world, Side.QUERY))
    fill(gallery, world, moved=10)
    one = gallery.search(world.queries.new[0], 5)
    assert len(one) == 1 and one == gallery.search(world.queries.new[:1], 5)
    none = np.empty((0, 20), np.float32)
    assert gallery.search(none, 5) == []
    empty_old = np.empty((0, 12), np.float32)
    assert gallery.search(none, 5, query_old=empty_old, mode="two-encoder") == []


@pytest.mark.parametrize("side", SIDES)
def test_an_empty_gallery_answers_with_empty_lists(
    opened: Opener, world: World, side: Side
) -> None:
    gallery = opened(upgrade_of(world, side))
    for mode in ("one-encoder", "two-encoder", "old"):
        found = gallery.search(world.queries.new, 5, query_old=world.queries.old, mode=mode)
        assert found == [[]] * 5


def test_bad_queries_are_refused(opened: Opener, world: World) -> None:
    gallery = opened(upgrade_of(world, Side.QUERY))
    fill(gallery, world, moved=10)
    good = world.queries.new[0]
    for bad in (np.full(20, np.nan), np.zeros(20), np.full(20, np.inf), ["x"] * 20):
        with pytest.raises(InvalidInput):
            gallery.search(bad)
    with pytest.raises(SpaceMismatch, match="dimension 12, wanted 20"):
        gallery.search(world.queries.old[0])
    with pytest.raises(SpaceMismatch):
        gallery.search(None, query_old=good, mode="old")
    for k in (0, -3, 2.5, True):
        with pytest.raises(InvalidInput, match="k is"):
            gallery.search(good, k)  # type: ignore[arg-type]
    with pytest.raises(InvalidInput, match="give query_old"):
        gallery.search(good, mode="two-encoder")
    with pytest.raises(InvalidInput, match="needs query_new"):
        gallery.search(None)
    with pytest.raises(InvalidInput, match="needs query_old"):
        gallery.search(good, mode="old")
    with pytest.raises(ValueError, match="three-encoder"):
        gallery.search(good, mode="three-encoder")
    with pytest.raises(InvalidInput, match="filter"):
        gallery.search(good, filter={"a": None})


def test_an_upgrade_without_a_rule_for_two_encoders_says_so(opened: Opener, world: World) -> None:
    gallery = opened(make_upgrade(Side.QUERY))
    with pytest.raises(InvalidInput, match="no rule for two encoders"):
        gallery.search(world.queries.new, query_old=world.queries.old, mode="two-encoder")


def test_items_stored_before_are_refused_until_they_are_prepared(
    opened: Opener, world: World
) -> None:
    first = opened(make_upgrade(Side.QUERY, rho=False))
    fill(first, world, moved=0)
    roll_back(first)
    upgrade = upgrade_of(world, Side.ITEMS, rho=False)
    gallery = start_gallery(first.store, upgrade)
    for mode in ("one-encoder", "two-encoder"):
        with pytest.raises(GalleryStateError, match="prepare"):
            gallery.search(world.queries.new, query_old=world.queries.old, mode=mode)
    assert len(gallery.search(None, 3, query_old=world.queries.old, mode="old")) == 5
    assert gallery.prepare() == 240
    items = {id: Embedded(row) for id, row in enumerate(world.gallery.old)}
    new, old = world.queries.new, world.queries.old
    assert ids(gallery.search(new, 9)) == expected_ids(upgrade, items, new, old, 9)


def test_two_encoders_find_the_item_that_is_mediocre_in_both_views(opened: Opener) -> None:
    """Old vectors on a quarter circle; one view likes its start, the other its end, and the
    combined best is in the middle, far from the first hundred candidates of either."""
    angles = np.linspace(0, np.pi / 2, 1001)
    circle = np.stack([np.cos(angles), np.sin(angles)], axis=1).astype(np.float32)
    upgrade = replace(
        make_upgrade(dim_old=2, dim_new=2, reference_old=circle[::10], weight=0.5),
        psi=Transform(Affine(np.eye(2, dtype=np.float32), np.zeros(2, np.float32))),
        rho=None,
    )
    gallery = opened(upgrade)
    gallery.upsert(range(1001), old=circle)
    start, end = np.eye(2, dtype=np.float32)
    (hits,) = gallery.search(start, 1, query_old=end, mode="two-encoder")
    assert hits[0].id == 500
    (cheap,) = gallery.search(start, 1, query_old=end, mode="two-encoder", exact=False)
    assert cheap[0].id != 500
