"""Live writes: upsert, delete, coverage."""

from collections.abc import Callable
from typing import Any

import numpy as np
import pytest

from crossfade.errors import InvalidInput, SpaceMismatch
from crossfade.gallery import Gallery
from crossfade.testing import World, make_upgrade
from crossfade.upgrade import Side, Upgrade

Opener = Callable[[Upgrade], Gallery]


def found(gallery: Gallery, query: Any, k: int = 10) -> list[tuple[Any, str]]:
    return [(hit.id, hit.side) for hit in gallery.search(query, k)[0]]


def test_coverage_is_the_share_of_items_on_the_new_side(opened: Opener, world: World) -> None:
    gallery = opened(make_upgrade())
    assert (gallery.count, gallery.coverage) == (0, 1.0)
    gallery.upsert([1, 2, 3], old=world.gallery.old[:3])
    assert (gallery.count, gallery.coverage) == (3, 0.0)
    gallery.upsert([3], new=world.gallery.new[3])
    assert gallery.coverage == pytest.approx(1 / 3)
    gallery.upsert([4], old=world.gallery.old[4], new=world.gallery.new[4])
    assert (gallery.count, gallery.coverage) == (4, 0.5)
    gallery.delete([1, 2])
    assert (gallery.count, gallery.coverage) == (2, 1.0)


@pytest.mark.parametrize("side", list(Side))
def test_an_item_is_on_one_side_at_a_time(opened: Opener, world: World, side: Side) -> None:
    gallery = opened(make_upgrade(side))
    query, old_query = world.queries.new[0], world.queries.old[0]

    def sides() -> list[str]:
        (hits,) = gallery.search(query, 10, query_old=old_query)
        assert [hit.id for hit in hits] == ["x"]
        return [hit.side for hit in hits]

    gallery.upsert(["x"], old=world.gallery.old[0])
    assert sides() == ["old"]
    gallery.upsert(["x"], old=world.gallery.old[0], new=world.gallery.new[0])
    assert sides() == ["new"]
    gallery.upsert(["x"], old=world.gallery.old[1])
    assert sides() == ["old"]
    gallery.upsert(["x"], new=world.gallery.new[1])
    assert sides() == ["new"]
    (hits,) = gallery.search(None, 10, query_old=old_query, mode="old")
    assert hits == [], "the old system knows nothing of an item without an old embedding"


def test_an_upsert_replaces_the_payload_too(opened: Opener, world: World) -> None:
    gallery = opened(make_upgrade())
    gallery.upsert([1], old=world.gallery.old[:1], payload=[{"a": 1}])
    gallery.upsert([1], new=world.gallery.new[:1], payload=[{"b": 2}])
    assert gallery.search(world.queries.new[0])[0][0].payload == {"b": 2}
    gallery.upsert([1], new=world.gallery.new[:1], payload=[None])
    assert gallery.search(world.queries.new[0])[0][0].payload == {}


def test_a_deleted_item_is_gone_from_both_sides_and_from_the_old_system(
    opened: Opener, world: World
) -> None:
    gallery = opened(make_upgrade(Side.ITEMS))
    gallery.upsert([1, "one"], old=world.gallery.old[:2], new=world.gallery.new[:2])
    assert gallery.delete([1, 99]) == 1
    assert found(gallery, world.queries.new[0]) == [("one", "new")]
    (hits,) = gallery.search(None, query_old=world.queries.old[0], mode="old")
    assert [hit.id for hit in hits] == ["one"]


def test_a_single_id_is_no_list_of_its_letters(opened: Opener, world: World) -> None:
    gallery = opened(make_upgrade())
    gallery.upsert(["4", "2", "42"], old=world.gallery.old[:3])
    with pytest.raises(InvalidInput, match="give a list"):
        gallery.delete("42")
    assert gallery.count == 3


def test_embeddings_are_normalised_at_the_border(opened: Opener, world: World) -> None:
    gallery = opened(make_upgrade(rho=False))
    gallery.upsert([1], new=1000 * world.gallery.new[:1].astype(np.float64))
    gallery.upsert([2], new=world.gallery.new[:1].astype(np.float16))
    (hits,) = gallery.search(3 * world.gallery.new[0])
    assert [hit.score for hit in hits] == pytest.approx([1.0, 1.0], abs=1e-3)


def test_integers_and_texts_are_different_ids(opened: Opener, world: World) -> None:
    gallery = opened(make_upgrade())
    gallery.upsert([1, "1", -1, np.int64(5)], new=world.gallery.new[:4])
    assert {id for id, _ in found(gallery, world.queries.new[0])} == {1, "1", -1, 5}


def test_a_mapped_vector_is_written_with_the_old_one(opened: Opener, world: World) -> None:
    upgrade = make_upgrade(Side.ITEMS)
    gallery = opened(upgrade)
    gallery.upsert([1], old=world.gallery.old[:1])
    assert upgrade.mapped is not None
    (item,) = gallery.store.get([1], vectors=[upgrade.source.name, upgrade.mapped.name])
    mapped = upgrade.map_items(world.gallery.old[:1])
    assert item is not None and mapped is not None
    assert np.array_equal(item.vectors["old"], world.gallery.old[0])
    assert np.array_equal(item.vectors[upgrade.mapped.name], mapped[0])


def test_a_bad_upsert_is_refused_and_changes_nothing(opened: Opener, world: World) -> None:
    gallery = opened(make_upgrade())
    new, old = world.gallery.new, world.gallery.old
    gallery.upsert([1], new=new[:1], payload=[{"a": 1}])
    bad: list[tuple[type[Exception], list[Any], dict[str, Any]]] = [
        (InvalidInput, [1, 2], {"new": new[:3]}),
        (InvalidInput, [1, 2], {"new": new[:2], "old": old[:1]}),
        (InvalidInput, [1, 1], {"new": new[:2]}),
        (InvalidInput, [1], {}),
        (InvalidInput, [1], {"new": np.full((1, 20), np.nan)}),
        (InvalidInput, [1], {"old": np.zeros((1, 12))}),
        (InvalidInput, [1], {"new": new[:1], "payload": [{}, {}]}),
        (InvalidInput, [1], {"new": new[:1], "payload": [{"a": {1}}]}),
        (InvalidInput, [None], {"new": new[:1]}),
        (SpaceMismatch, [1], {"new": old[:1]}),
        (SpaceMismatch, [1], {"old": new[:1]}),
    ]
    for error, ids, values in bad:
        with pytest.raises(error):
            gallery.upsert(ids, **values)
    (hits,) = gallery.search(new[0])
    assert [(hit.id, hit.payload) for hit in hits] == [(1, {"a": 1})]


def test_upserting_nothing_is_harmless(opened: Opener) -> None:
    gallery = opened(make_upgrade())
    gallery.upsert([], new=np.empty((0, 20)))
    assert gallery.count == 0
    assert gallery.delete([]) == 0
