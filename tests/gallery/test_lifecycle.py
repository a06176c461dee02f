"""Opening, preparing, finishing, rolling back; also after a crash in between."""

from collections.abc import Callable
from dataclasses import replace
from typing import Any

import numpy as np
import pytest

from crossfade.embeddings import Space
from crossfade.errors import ArtifactError, GalleryStateError, SpaceMismatch, StoreError
from crossfade.gallery import Gallery, Phase, open_gallery, start_gallery
from crossfade.gallery.ends import finish, roll_back
from crossfade.gallery.record import change_phase
from crossfade.stores import Draft, VectorWrite, open_store
from crossfade.testing import World, make_upgrade
from crossfade.upgrade import Side, Upgrade

Opener = Callable[[Upgrade], Gallery]
SIDES = list(Side)


def fill(gallery: Gallery, world: World, moved: int) -> None:
    pairs = world.gallery
    gallery.upsert(pairs.ids, old=pairs.old)
    if moved:
        gallery.upsert(pairs.ids[:moved], old=pairs.old[:moved], new=pairs.new[:moved])


def old_answers(gallery: Gallery, world: World) -> list[list[Any]]:
    found = gallery.search(None, 20, query_old=world.queries.old, mode="old")
    return [[(hit.id, hit.score) for hit in hits] for hits in found]


def test_a_gallery_is_found_again_as_it_was_left(opened: Opener, world: World) -> None:
    upgrade = make_upgrade(Side.ITEMS)
    gallery = opened(upgrade)
    fill(gallery, world, 50)
    before = gallery.search(world.queries.new, 30)
    again = opened(upgrade)
    assert again.state.phase is Phase.SERVING
    assert again.search(world.queries.new, 30) == before


def test_the_upgrade_may_be_given_as_its_folder(world: World, tmp_path: Any) -> None:
    make_upgrade().save(tmp_path / "upgrade")
    with open_gallery("memory://", tmp_path / "upgrade") as gallery:
        gallery.upsert([1], new=world.gallery.new[:1])
        assert gallery.upgrade.id == make_upgrade().id
    with pytest.raises(ArtifactError):
        open_gallery("memory://", tmp_path / "nothing")


def test_another_upgrade_of_the_same_spaces_is_refused(opened: Opener, world: World) -> None:
    fill(opened(make_upgrade(rho=False)), world, 10)
    with pytest.raises(GalleryStateError, match="roll it back"):
        opened(make_upgrade(rho=False, seed=1))
    assert opened(make_upgrade(rho=False)).coverage > 0


@pytest.mark.parametrize(
    "change",
    [
        {"source": Space("older", 12)},
        {"target": Space("newer", 20)},
        {"rho": None},
    ],
    ids=str,
)
def test_an_upgrade_of_other_spaces_is_refused(
    opened: Opener, world: World, change: dict[str, Any]
) -> None:
    upgrade = make_upgrade()
    fill(opened(upgrade), world, 10)
    with pytest.raises(SpaceMismatch, match="finish or roll back"):
        opened(replace(upgrade, **change))


def test_a_collection_of_another_space_is_refused(uri: str) -> None:
    with open_store(uri) as store:
        store.ensure_space(Space("something else", 3))
        store.put([Draft(1, {"something else": np.array([1, 0, 0], np.float32)})])
    with pytest.raises(SpaceMismatch, match=r"\['something else'\]"):
        open_gallery(uri, make_upgrade())


def test_an_old_space_of_another_dimension_is_refused(uri: str) -> None:
    with open_store(uri) as store:
        store.ensure_space(Space("old", 3))
    with pytest.raises(SpaceMismatch, match="have 3 dimensions"):
        open_gallery(uri, make_upgrade())
    with open_store(uri) as store:
        assert set(store.spaces()) == {"old"}, "a refused opening leaves nothing behind"
        assert store.read_pointer("crossfade.gallery") is None


def test_an_upgrade_from_a_space_to_itself_is_refused() -> None:
    upgrade = make_upgrade(rho=False, dim_old=20)
    with pytest.raises(SpaceMismatch, match="to itself"):
        open_gallery("memory://", replace(upgrade, target=upgrade.source))


def test_a_state_of_another_release_is_refused(uri: str) -> None:
    with open_store(uri) as store:
        store.swap_pointer("crossfade.gallery", None, '{"format": 99}')
    with pytest.raises(StoreError, match="format 99"):
        open_gallery(uri, make_upgrade())


def test_a_live_collection_is_prepared_once_and_resumably(uri: str, world: World) -> None:
    pairs = world.gallery
    upgrade = make_upgrade(Side.ITEMS)
    assert upgrade.mapped is not None
    mapped = upgrade.map_items(pairs.old)
    assert mapped is not None
    with open_store(uri) as store:
        store.ensure_space(upgrade.source)
        drafts = [
            Draft(int(id), {"old": row}) for id, row in zip(pairs.ids, pairs.old, strict=True)
        ]
        store.put(drafts)
    with open_gallery(uri, upgrade) as gallery:
        assert gallery.state.phase is Phase.PREPARING
        # As if an earlier pass had been interrupted.
        items = gallery.store.scan(n=100)
        gallery.store.set_vectors(
            upgrade.mapped.name,
            [VectorWrite(item.id, item.version, mapped[int(item.id)]) for item in items],
        )
    with open_gallery(uri, upgrade) as gallery:
        told: list[tuple[int, int]] = []
        assert gallery.prepare(progress=lambda done, total: told.append((done, total))) == 140
        assert told[-1] == (140, 140)
        assert gallery.state.phase is Phase.SERVING
        assert gallery.prepare() == 0
        for item in gallery.store.scan(n=1000, vectors=["old", upgrade.mapped.name]):
            assert np.array_equal(item.vectors["old"], pairs.old[int(item.id)])
            assert np.allclose(item.vectors[upgrade.mapped.name], mapped[int(item.id)], atol=1e-6)


def test_finish_drops_the_old_side_and_changes_no_answer(opened: Opener, world: World) -> None:
    gallery = opened(make_upgrade(Side.ITEMS))
    fill(gallery, world, 240)
    before = gallery.search(world.queries.new, 30)
    finish(gallery)
    finish(gallery)
    assert set(gallery.store.spaces()) == {gallery.upgrade.stored.name}
    assert gallery.search(world.queries.new, 30) == before
    assert gallery.search(world.queries.new, 30, mode="two-encoder") == before
    with pytest.raises(GalleryStateError, match="dropped by finish"):
        gallery.search(None, query_old=world.queries.old, mode="old")
    with pytest.raises(GalleryStateError, match="no old ones"):
        gallery.upsert([1], old=world.gallery.old[:1])
    with pytest.raises(GalleryStateError, match="finished"):
        roll_back(gallery)
    with pytest.raises(GalleryStateError, match="nothing to prepare"):
        gallery.prepare()
    gallery.upsert(["late"], new=world.queries.new[:1])
    assert gallery.search(world.queries.new[0])[0][0].id == "late"
    assert opened(gallery.upgrade).state.phase is Phase.FINISHED


def test_finish_is_refused_while_items_are_on_the_old_side(opened: Opener, world: World) -> None:
    gallery = opened(make_upgrade())
    fill(gallery, world, 239)
    with pytest.raises(GalleryStateError, match="1 of 240 items"):
        finish(gallery)
    assert gallery.state.phase is Phase.SERVING


@pytest.mark.parametrize("side", SIDES)
def test_rollback_restores_the_old_system(opened: Opener, world: World, side: Side) -> None:
    gallery = opened(make_upgrade(side))
    fill(gallery, world, 0)
    before = old_answers(gallery, world)
    fill(gallery, world, 100)
    roll_back(gallery)
    roll_back(gallery)
    assert old_answers(gallery, world) == before
    assert gallery.store.spaces() == {"old": Space("old", 12)}
    assert gallery.coverage == 0.0
    with pytest.raises(GalleryStateError, match="rolled back"):
        gallery.search(world.queries.new, query_old=world.queries.old)
    with pytest.raises(GalleryStateError, match="rolled back"):
        gallery.upsert([1], new=world.gallery.new[:1])
    gallery.upsert([1], old=world.gallery.old[1:2])
    assert old_answers(gallery, world) == before


def test_after_a_rollback_another_upgrade_may_begin(opened: Opener, world: World) -> None:
    gallery = opened(make_upgrade(Side.QUERY))
    fill(gallery, world, 100)
    roll_back(gallery)
    other = make_upgrade(Side.ITEMS, seed=5)
    with pytest.raises(GalleryStateError, match="opening does not start it"):
        open_gallery(gallery.store, other)
    gallery = start_gallery(gallery.store, other)
    assert gallery.prepare() == 240
    assert gallery.coverage == 0.0
    assert len(gallery.search(world.queries.new, 240)[0]) == 240


def test_items_without_an_old_embedding_stop_a_rollback(opened: Opener, world: World) -> None:
    gallery = opened(make_upgrade())
    fill(gallery, world, 10)
    gallery.upsert(["young"], new=world.gallery.new[:1], payload=[{"a": 1}])
    with pytest.raises(GalleryStateError, match=r"1 items hold no old embedding, e\.g\. 'young'"):
        roll_back(gallery)
    assert gallery.state.phase is Phase.SERVING
    roll_back(gallery, leave_out=True)
    assert gallery.count == 241
    assert len(old_answers(gallery, world)[0]) == 20
    gallery.upsert(["young"], old=world.queries.old[:1])
    assert old_answers(gallery, world)[0][0][0] == "young"


def test_the_next_upgrade_begins_where_the_last_one_ended(opened: Opener, world: World) -> None:
    first = make_upgrade(rho=False)
    gallery = opened(first)
    fill(gallery, world, 240)
    finish(gallery)
    second = replace(
        make_upgrade(rho=False, dim_old=20, dim_new=6),
        source=first.stored,
        target=Space("newest", 6),
    )
    with pytest.raises(GalleryStateError, match="opening does not start it"):
        open_gallery(gallery.store, second)
    with pytest.raises(GalleryStateError, match="gone through this very upgrade"):
        start_gallery(gallery.store, first)
    gallery = start_gallery(gallery.store, second)
    assert (gallery.count, gallery.coverage) == (240, 0.0)
    answers = gallery.search(None, 5, query_old=world.queries.new, mode="old")
    assert [hit.side for hit in answers[0]] == ["old"] * 5


@pytest.mark.parametrize("side", SIDES)
@pytest.mark.parametrize("dropped", [False, True])
def test_a_finish_cut_off_by_a_crash_is_carried_out_at_the_next_opening(
    opened: Opener, world: World, side: Side, dropped: bool
) -> None:
    gallery = opened(make_upgrade(side))
    fill(gallery, world, 240)
    before = gallery.search(world.queries.new, 30, query_old=world.queries.old)
    change_phase(gallery.store, gallery.state, Phase.FINISHING)
    if dropped:
        gallery.store.drop_space("old")
    assert gallery.search(world.queries.new, 30) == before
    gallery = opened(gallery.upgrade)
    assert gallery.state.phase is Phase.FINISHED
    assert set(gallery.store.spaces()) == {gallery.upgrade.stored.name}
    assert gallery.search(world.queries.new, 30) == before


@pytest.mark.parametrize("side", SIDES)
def test_what_another_process_writes_while_a_finish_is_decided_is_found(
    opened: Opener, world: World, side: Side
) -> None:
    gallery = opened(make_upgrade(side))
    fill(gallery, world, 239)
    gallery.upsert([239], old=world.gallery.old[239:])
    change_phase(gallery.store, gallery.state, Phase.FINISHING)
    queries = world.queries
    for mode in ("one-encoder", "two-encoder"):
        hits = gallery.search(queries.new, 240, query_old=queries.old, mode=mode)
        assert all(len(listed) == 240 for listed in hits)
        assert {hit.side for listed in hits for hit in listed if hit.id == 239} == {"old"}
    gallery = opened(gallery.upgrade)
    assert gallery.state.phase is Phase.SERVING, "it was taken back"


@pytest.mark.parametrize("side", SIDES)
@pytest.mark.parametrize("dropped", [False, True])
def test_a_rollback_cut_off_by_a_crash_is_carried_out_at_the_next_opening(
    opened: Opener, world: World, side: Side, dropped: bool
) -> None:
    gallery = opened(make_upgrade(side))
    fill(gallery, world, 100)
    before = old_answers(gallery, world)
    change_phase(gallery.store, gallery.state, Phase.ROLLING_BACK)
    if dropped:
        gallery.store.drop_space(gallery.upgrade.stored.name)
    assert old_answers(gallery, world) == before
    gallery = opened(gallery.upgrade)
    assert gallery.state.phase is Phase.ROLLED_BACK
    assert set(gallery.store.spaces()) == {"old"}
    assert old_answers(gallery, world) == before


def test_looking_at_a_gallery_that_was_rolled_back_does_not_start_it_anew(
    opened: Opener, world: World
) -> None:
    upgrade = make_upgrade(Side.ITEMS)
    gallery = opened(upgrade)
    fill(gallery, world, 100)
    before = old_answers(gallery, world)
    roll_back(gallery)
    for _ in range(2):
        gallery = opened(upgrade)
        assert gallery.state.phase is Phase.ROLLED_BACK
        assert gallery.store.spaces() == {"old": Space("old", 12)}
        assert old_answers(gallery, world) == before
        with pytest.raises(GalleryStateError, match="start_gallery"):
            gallery.search(world.queries.new)
    gallery = start_gallery(gallery.store, upgrade)
    gallery.prepare()
    assert old_answers(gallery, world) == before
    assert len(gallery.search(world.queries.new, 240)[0]) == 240


@pytest.mark.parametrize("side", SIDES)
def test_an_upgrade_under_way_is_not_started_again(
    opened: Opener, world: World, side: Side
) -> None:
    gallery = opened(make_upgrade(side))
    fill(gallery, world, 100)
    with pytest.raises(GalleryStateError, match=r"is started.*allowed: backfill.*Next: crossfade"):
        start_gallery(gallery.store, gallery.upgrade)
    with pytest.raises(SpaceMismatch, match="finish or roll back that one first"):
        start_gallery(gallery.store, make_upgrade(side, seed=9))
    assert gallery.coverage == pytest.approx(100 / 240)


def test_a_gallery_that_was_started_anew_elsewhere_is_not_used_on(world: World) -> None:
    store = open_store("memory://")
    stale = open_gallery(store, make_upgrade())
    fill(stale, world, 5)
    roll_back(stale)
    start_gallery(store, make_upgrade(seed=3))
    with pytest.raises(GalleryStateError, match="another upgrade has been started"):
        stale.search(None, query_old=world.queries.old, mode="old")
    with pytest.raises(GalleryStateError):
        stale.upsert([1], old=world.gallery.old[:1])
