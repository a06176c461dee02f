"""Searches and writes while the backfill runs."""

import random
import threading
from collections.abc import Callable
from typing import Any

import numpy as np

from crossfade.backfill import Backfill, JobState
from crossfade.gallery import Gallery
from crossfade.stores import Item
from crossfade.testing import FakeEncoder, World


def in_threads(*works: Callable[[], None]) -> None:
    """Run functions side by side; the first error is raised here."""
    errors: list[BaseException] = []

    def guarded(work: Callable[[], None]) -> None:
        try:
            work()
        except BaseException as error:
            errors.append(error)

    threads = [threading.Thread(target=guarded, args=(work,)) for work in works]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    if errors:
        raise errors[0]


def running(gallery: Gallery, world: World, done: threading.Event) -> Callable[[], None]:
    """The backfill as a thread's work, slow enough for others to come between."""

    def embed(item: Item) -> Any:
        return world.gallery.new[item.payload["row"]]

    encoder = FakeEncoder(embed, latency_seconds=0.005)

    def run() -> None:
        try:
            job = Backfill(gallery, encoder, batch_size=3, flush_seconds=0.02)
            assert job.run().state in (JobState.COMPLETE, JobState.BEHIND)
        finally:
            done.set()

    return run


def test_searches_find_every_item_once_all_the_time(gallery: Gallery, world: World) -> None:
    done = threading.Event()
    coverages: list[float] = []

    def search() -> None:
        while not done.is_set():
            for hits in gallery.search(world.queries.new, 1000):
                assert sorted(hit.id for hit in hits) == list(range(120))
            (hits, *_) = gallery.search(world.queries.new, 10)
            assert len({hit.id for hit in hits}) == 10
            coverages.append(gallery.coverage)

    in_threads(running(gallery, world, done), search, search)
    assert gallery.coverage == 1.0
    assert any(0 < coverage < 1 for coverage in coverages), "the searches came too late"


def test_the_old_system_answers_all_the_time_as_before(gallery: Gallery, world: World) -> None:
    done = threading.Event()
    before = gallery.search(None, 50, query_old=world.queries.old, mode="old")

    def search() -> None:
        while not done.is_set():
            assert gallery.search(None, 50, query_old=world.queries.old, mode="old") == before

    in_threads(running(gallery, world, done), search)


def test_what_users_write_during_the_backfill_stands(gallery: Gallery, world: World) -> None:
    """Rewrites, deletes, insertions of every kind; at the end each item is its last write."""
    done = threading.Event()
    model: dict[Any, int | None] = {row: row for row in range(120)}

    def write() -> None:
        moves = random.Random(0)
        turn = 0
        while not done.is_set() and turn < 400:
            turn += 1
            id: Any = moves.choice([*range(120), *(f"late {n}" for n in range(20))])
            row = moves.randrange(120)
            payload = [{"row": row}]
            new, old = world.gallery.new[row], world.gallery.old[row]
            match moves.randrange(4):
                case 0:
                    gallery.delete([id])
                    model.pop(id, None)
                    continue
                case 1:
                    gallery.upsert([id], old=old, payload=payload)
                case 2:
                    gallery.upsert([id], old=old, new=new, payload=payload)
                case _:
                    gallery.upsert([id], new=new, payload=payload)
            model[id] = row

    in_threads(running(gallery, world, done), write)
    embed = FakeEncoder(lambda item: world.gallery.new[item.payload["row"]])
    assert Backfill(gallery, embed).run().state is JobState.COMPLETE
    stored = gallery.upgrade.stored.name
    items = {item.id: item for item in gallery.store.scan(n=1000, vectors=[stored])}
    assert {id: item.payload["row"] for id, item in items.items()} == model
    expected = gallery.upgrade.store_new(world.gallery.new)
    for item in items.values():
        assert np.allclose(item.vectors[stored], expected[item.payload["row"]], atol=1e-6)
