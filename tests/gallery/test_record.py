"""A state and its audit line are one: neither is ever there without the other."""

import json
import threading

import pytest

from crossfade.errors import GalleryStateError, StoreError
from crossfade.gallery import Phase, State, open_gallery, start_gallery
from crossfade.gallery.audit import AuditLine
from crossfade.gallery.ends import finish, roll_back
from crossfade.gallery.record import change_phase, log_move, read_log, verify_log
from crossfade.stores import Store, open_store
from crossfade.stores.memory import MemoryStore
from crossfade.testing import World, make_upgrade
from crossfade.upgrade import Side


def moves(store: Store) -> list[tuple[str, str, str]]:
    lines = [AuditLine.parse(text) for text in read_log(store.read_pointer)]
    return [(line.move, line.before, line.after) for line in lines]


START = [("start", "not-started", "preparing"), ("prepared", "preparing", "started")]


def test_every_change_of_phase_is_recorded(uri: str, world: World) -> None:
    with open_gallery(uri, make_upgrade(Side.ITEMS)) as gallery:
        gallery.upsert([1], old=world.gallery.old[:1], new=world.gallery.new[:1])
        roll_back(gallery, actor="ann")
        store = gallery.store
        back = [
            ("rollback", "started", "rolling-back"),
            ("rolled-back", "rolling-back", "rolled-back"),
        ]
        assert moves(store) == START + back
        start_gallery(store, gallery.upgrade)
        gallery.prepare()
        gallery.upsert([1], old=world.gallery.old[:1], new=world.gallery.new[:1])
        finish(gallery)
        again = [("start", "rolled-back", "preparing"), ("prepared", "preparing", "started")]
        end = [("finish", "started", "finishing"), ("finished", "finishing", "finished")]
        assert moves(store) == START + back + again + end
        assert verify_log(store.read_pointer).whole
        actors = [json.loads(text)["actor"] for text in read_log(store.read_pointer)]
        assert actors[2:4] == ["ann", "ann"]
    with open_store(uri) as store:
        assert moves(store) == START + back + again + end


def test_opening_again_records_nothing(uri: str) -> None:
    for _ in range(3):
        open_gallery(uri, make_upgrade()).close()
    with open_store(uri) as store:
        assert moves(store) == START


class CutOff(MemoryStore):
    """Dies at its n-th write of a pointer, before or after the write."""

    def __init__(self, at: int, after: bool) -> None:
        super().__init__()
        self.left, self.after = at, after

    def swap_pointer(self, name: str, expect: str | None, value: str | None) -> bool:
        self.left -= 1
        if self.left == 0 and not self.after:
            raise KeyboardInterrupt
        swapped = super().swap_pointer(name, expect, value)
        if self.left == 0:
            raise KeyboardInterrupt
        return swapped


@pytest.mark.parametrize("after", [False, True])
@pytest.mark.parametrize("at", range(1, 14))
def test_cut_off_at_any_write_the_log_still_tells_the_state(
    at: int, after: bool, world: World
) -> None:
    store = CutOff(at, after)
    upgrade = make_upgrade(Side.ITEMS)

    def whole_lifecycle() -> None:
        gallery = open_gallery(store, upgrade)
        gallery.upsert([1], old=world.gallery.old[:1])
        log_move(store, "backfill", State.RUNNING)
        log_move(store, "pause", State.PAUSED)
        roll_back(gallery)
        start_gallery(store, upgrade)

    try:
        whole_lifecycle()
    except KeyboardInterrupt:
        if store.read_pointer("crossfade.gallery") is None:
            return
    verdict = verify_log(store.read_pointer)
    assert verdict.whole, verdict
    open_gallery(store, upgrade)
    assert verify_log(store.read_pointer).whole


def test_writers_in_many_threads_lose_no_line() -> None:
    store = open_store("memory://")
    open_gallery(store, make_upgrade())

    def write() -> None:
        for _ in range(10):
            log_move(store, "backfill", State.RUNNING)

    threads = [threading.Thread(target=write) for _ in range(4)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert len(moves(store)) == 2 + 40
    assert verify_log(store.read_pointer).whole


def test_a_line_changed_in_the_store_is_found_and_nothing_is_written_over_it() -> None:
    store = open_store("memory://")
    gallery = open_gallery(store, make_upgrade())
    log_move(store, "backfill", State.RUNNING)
    text = store.read_pointer("crossfade.audit.2")
    assert text is not None
    assert store.swap_pointer("crossfade.audit.2", text, text.replace("started", "finished"))
    assert verify_log(store.read_pointer).bad_line == 2
    assert store.swap_pointer("crossfade.audit.2", text.replace("started", "finished"), None)
    assert verify_log(store.read_pointer).bad_line == 2
    assert store.swap_pointer("crossfade.audit.2", None, text)
    assert store.swap_pointer("crossfade.audit.3", None, "{}")
    with pytest.raises(StoreError, match="crossfade audit"):
        log_move(store, "pause", State.PAUSED)
    assert gallery.state.phase is Phase.SERVING


def test_a_state_changed_behind_the_logs_back_is_found() -> None:
    store = open_store("memory://")
    open_gallery(store, make_upgrade())
    text = store.read_pointer("crossfade.gallery")
    assert text is not None
    forged = text.replace('"phase": "serving"', '"phase": "finished"')
    assert store.swap_pointer("crossfade.gallery", text, forged)
    verdict = verify_log(store.read_pointer)
    assert verdict.bad_line == 2 and "finished" in verdict.problem


def test_a_phase_that_somebody_else_has_changed_is_not_changed(world: World) -> None:
    store = open_store("memory://")
    gallery = open_gallery(store, make_upgrade())
    before = gallery.state
    change_phase(store, before, Phase.ROLLING_BACK)
    with pytest.raises(GalleryStateError, match="no longer serving"):
        change_phase(store, before, Phase.FINISHING)
    with pytest.raises(GalleryStateError, match="start one first"):
        log_move(open_store("memory://"), "pause", State.PAUSED)
