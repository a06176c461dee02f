"""What happens between the search of the old side and that of the new one."""

import threading
from collections.abc import Callable, Sequence
from typing import Any

import numpy as np
import pytest

from crossfade.embeddings import FloatArray
from crossfade.gallery import Gallery, open_gallery
from crossfade.stores import Id, Match, Store, VectorWrite, open_store
from crossfade.stores.memory import MemoryStore
from crossfade.testing import World, make_upgrade
from crossfade.upgrade import Calibration, Upgrade


class MeddledStore(MemoryStore):
    """Calls a function before its n-th search."""

    def __init__(self) -> None:
        super().__init__()
        self.searches = 0
        self.meddle: dict[int, Callable[[], Any]] = {}

    def search(
        self, space: str, queries: FloatArray, k: int, **conditions: Any
    ) -> list[list[Match]]:
        self.searches += 1
        self.meddle.pop(self.searches, lambda: None)()
        return super().search(space, queries, k, **conditions)


@pytest.fixture
def store() -> MeddledStore:
    return MeddledStore()


@pytest.fixture
def gallery(store: MeddledStore, world: World) -> Gallery:
    """Forty items on the old side, which all score higher there than on the new side."""
    gallery = open_gallery(store, make_upgrade(rho=False, calibration=Calibration.affine(1, 9)))
    gallery.upsert(range(40), old=world.gallery.old[:40])
    return gallery


def move(gallery: Gallery, world: World, ids: Sequence[Id]) -> None:
    items = [item for item in gallery.store.get(ids) if item is not None]
    new = gallery.upgrade.store_new(world.gallery.new[[int(item.id) for item in items]])
    gallery.store.set_vectors(
        gallery.upgrade.stored.name,
        [VectorWrite(item.id, item.version, row) for item, row in zip(items, new, strict=True)],
    )


def ids(gallery: Gallery, world: World, k: int) -> list[Id]:
    (hits,) = gallery.search(world.queries.new[0], k)
    return [hit.id for hit in hits]


def test_an_item_moved_between_the_searches_is_found_once(
    store: MeddledStore, gallery: Gallery, world: World
) -> None:
    store.meddle[2] = lambda: move(gallery, world, range(40))
    assert sorted(ids(gallery, world, 100)) == list(range(40))


def test_items_moved_between_the_searches_take_no_places_of_others(
    store: MeddledStore, gallery: Gallery, world: World
) -> None:
    """The five best of the old list go to the new side; five more are fetched in their place."""
    best = ids(gallery, world, 5)
    following = ids(gallery, world, 10)[5:]
    store.searches = 0
    store.meddle[2] = lambda: move(gallery, world, best)
    assert ids(gallery, world, 5) == following
    assert store.searches > 2


def test_an_item_deleted_before_its_payload_is_read_takes_no_place(
    store: MeddledStore, gallery: Gallery, world: World
) -> None:
    in_order = ids(gallery, world, 7)
    store.searches = 0
    store.meddle[2] = lambda: gallery.delete(in_order[:2])
    assert ids(gallery, world, 5) == in_order[2:]


def test_an_item_that_goes_back_to_the_old_side_between_the_searches_is_found(
    store: MeddledStore, gallery: Gallery, world: World
) -> None:
    move(gallery, world, [3])
    store.meddle[2] = lambda: gallery.upsert([3], old=world.gallery.old[3])
    assert sorted(ids(gallery, world, 100)) == list(range(40))


def test_a_rewritten_item_is_shown_with_the_score_of_what_it_holds(
    store: MeddledStore, gallery: Gallery, world: World
) -> None:
    store.meddle[2] = lambda: gallery.upsert(
        [3], old=world.gallery.old[100], payload=[{"fresh": True}]
    )
    (hits,) = gallery.search(world.queries.new[0], 40)
    assert gallery.search(world.queries.new[0], 40) == [hits]


def test_a_finish_during_a_search_is_survived(
    store: MeddledStore, gallery: Gallery, world: World
) -> None:
    from crossfade.gallery.ends import finish

    move(gallery, world, range(40))
    store.meddle[1] = lambda: finish(gallery)
    assert sorted(ids(gallery, world, 100)) == list(range(40))


def test_a_busy_writer_can_not_hide_an_item_for_ever(gallery: Gallery, world: World) -> None:
    """Items go back and forth all the time; every search finds them all, once."""
    done = threading.Event()
    errors: list[BaseException] = []

    def write() -> None:
        turn = 0
        while not done.is_set():
            turn += 1
            ids = list(range(turn % 7, 40, 7))
            if turn % 2:
                gallery.upsert(ids, old=world.gallery.old[ids])
            else:
                gallery.upsert(ids, old=world.gallery.old[ids], new=world.gallery.new[ids])

    def search() -> None:
        try:
            for _ in range(100):
                assert sorted(ids(gallery, world, 100)) == list(range(40))
        except BaseException as error:
            errors.append(error)

    writer = threading.Thread(target=write)
    searchers = [threading.Thread(target=search) for _ in range(2)]
    for thread in (writer, *searchers):
        thread.start()
    for thread in searchers:
        thread.join()
    done.set()
    writer.join()
    assert not errors


def test_two_encoder_searches_see_moved_items_once_too(world: World) -> None:
    store = MeddledStore()
    upgrade: Upgrade = make_upgrade(reference_old=world.gallery.old[:50])
    gallery = open_gallery(store, upgrade)
    gallery.upsert(range(40), old=world.gallery.old[:40])
    for moment in (2, 3):
        store.searches = 0
        store.meddle[moment] = lambda: move(gallery, world, range(0, 40, 2))
        (hits,) = gallery.search(
            world.queries.new[0], 100, query_old=world.queries.old[0], mode="two-encoder"
        )
        assert sorted(hit.id for hit in hits) == list(range(40))
        gallery.upsert(range(40), old=world.gallery.old[:40])


def test_searches_run_beside_writes_on_a_real_store(uri: str, world: World) -> None:
    store: Store = open_store(uri)
    with open_gallery(store, make_upgrade()) as gallery:
        gallery.upsert(range(60), old=world.gallery.old[:60])
        errors: list[BaseException] = []

        def move_all() -> None:
            for start in range(0, 60, 4):
                move(gallery, world, range(start, start + 4))

        def search() -> None:
            try:
                while mover.is_alive():
                    assert sorted(ids(gallery, world, 100)) == list(range(60))
            except BaseException as error:
                errors.append(error)

        mover = threading.Thread(target=move_all)
        searcher = threading.Thread(target=search)
        mover.start()
        searcher.start()
        mover.join()
        searcher.join()
        assert not errors
        assert gallery.coverage == 1.0
        plain = (
            gallery.upgrade.store_new(world.queries.new[:1])
            @ gallery.upgrade.store_new(world.gallery.new[:60]).T
        )
        assert ids(gallery, world, 60) == np.argsort(-plain[0], kind="stable").tolist()
