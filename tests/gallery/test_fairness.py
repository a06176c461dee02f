"""Who waits for the lock gets it before whoever held it last."""

import threading
import time

import numpy as np
import pytest

from crossfade.gallery import open_gallery
from crossfade.gallery.fairness import FairLock
from crossfade.stores import Draft
from crossfade.stores.memory import MemoryStore
from crossfade.testing import World, make_upgrade


def test_it_may_be_taken_again_by_its_holder_and_is_let_go_at_the_end() -> None:
    lock = FairLock()
    with lock, lock:
        pass
    taken = threading.Event()

    def take() -> None:
        with lock:
            taken.set()

    with lock:
        other = threading.Thread(target=take)
        other.start()
        assert not taken.wait(0.05)
    other.join(10)
    assert taken.is_set()


def test_a_waiter_is_not_passed_by_however_often_the_holder_takes_it() -> None:
    lock, waiting, turns = FairLock(), threading.Event(), []

    def wait() -> None:
        waiting.set()
        with lock:
            turns.append("waiter")

    other = threading.Thread(target=wait)
    with lock:
        other.start()
        waiting.wait(10)
        time.sleep(0.1)  # until it stands at the turnstile
    for _ in range(2):
        with lock:
            turns.append("holder")
    other.join(10)
    assert turns[0] == "waiter" or turns == ["holder", "waiter", "holder"]


class SlowStore(MemoryStore):
    def put(self, drafts: list[Draft]) -> None:  # type: ignore[override]
        time.sleep(0.1)
        super().put(drafts)


def test_a_search_waits_for_one_chunk_of_a_bulk_write_not_for_all(
    world: World, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("crossfade.gallery.writes._PUT_ROWS", 10)
    gallery = open_gallery(SlowStore(), make_upgrade())
    gallery.upsert(range(10), old=world.gallery.old[:10])
    writer = threading.Thread(target=lambda: gallery.upsert(range(240), old=world.gallery.old))
    writer.start()
    time.sleep(0.15)
    found = gallery.search(world.queries.new[:1], 240)[0]
    assert writer.is_alive(), "24 chunks take more than two seconds"
    assert 10 <= len(found) < 200
    writer.join()
    assert gallery.count == 240
    assert np.isclose(gallery.coverage, 0.0)
