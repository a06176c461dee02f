"""The checks of chaos find what is wrong, and let pass what may have been."""

import time
from collections.abc import Sequence
from pathlib import Path

import pytest

from crossfade.gallery import open_gallery
from crossfade.stores import Draft, Store, open_store
from crossfade.testing.chaos.checks import Fault, FaultKind, check_look, check_searches, look
from crossfade.testing.chaos.content import ABSENT, UPGRADE, Content, old_of
from crossfade.testing.chaos.ledger import Ledger, read_ledger

FIRST, SECOND = Content(1, True, False), Content(2, True, True)


class Told:
    """A ledger in which things happen one after the other."""

    def __init__(self, folder: Path) -> None:
        self.path = folder / "ledger"
        self.ledger = Ledger(self.path)

    def write(self, content: Content, *, answered: bool = True, refused: bool = False) -> None:
        mark = self.ledger.intend({7: content})
        if answered:
            self.ledger.answer(mark, refused=refused)

    def search(
        self, hits: Sequence[tuple[int, int]], *, begun: float | None = None, mode: str = "old"
    ) -> list[FaultKind]:
        self.ledger.found(time.monotonic() if begun is None else begun, mode, hits)
        return [fault.kind for fault in check_searches(read_ledger(self.path))]


@pytest.fixture
def told(tmp_path: Path) -> Told:
    return Told(tmp_path)


def test_a_search_that_returns_what_is_there_is_right(told: Told) -> None:
    told.write(FIRST)
    assert told.search([(7, 1)]) == []


def test_a_live_item_that_a_search_misses_is_lost(told: Told) -> None:
    told.write(FIRST)
    assert told.search([]) == [FaultKind.LOST]


def test_an_id_twice_in_a_list_is_doubled(told: Told) -> None:
    told.write(FIRST)
    assert told.search([(7, 1), (7, 1)]) == [FaultKind.DOUBLED]


def test_content_older_than_what_was_acknowledged_is_stale(told: Told) -> None:
    told.write(FIRST)
    told.write(SECOND)
    assert told.search([(7, 1)]) == [FaultKind.STALE]


def test_an_item_whose_delete_was_acknowledged_may_not_be_found(told: Told) -> None:
    told.write(FIRST)
    told.write(ABSENT)
    assert told.search([(7, 1)]) == [FaultKind.UNDEAD]


def test_a_write_during_the_search_may_be_seen_or_not(told: Told) -> None:
    told.write(FIRST)
    begun = time.monotonic()
    told.write(SECOND)
    assert told.search([(7, 1)], begun=begun) == []
    assert told.search([(7, 2)], begun=begun) == []
    assert told.search([], begun=begun) == [FaultKind.LOST]


def test_a_write_that_a_kill_cut_off_may_have_happened_or_not(told: Told) -> None:
    told.write(FIRST)
    told.write(ABSENT, answered=False)
    assert told.search([(7, 1)]) == []
    assert told.search([]) == []
    told.write(SECOND)
    assert told.search([(7, 1)]) == [FaultKind.STALE]


def test_a_write_that_was_refused_may_not_have_happened(told: Told) -> None:
    told.write(FIRST)
    told.write(SECOND, refused=True)
    assert told.search([(7, 2)]) == [FaultKind.STALE]


def test_the_old_system_need_not_find_an_item_without_an_old_vector(told: Told) -> None:
    told.write(Content(3, False, True))
    assert told.search([]) == []
    assert told.search([], mode="one-encoder") == [FaultKind.LOST]


def test_a_line_torn_by_a_kill_swallows_no_other(told: Told) -> None:
    told.write(FIRST)
    with told.path.open("ab") as file:
        file.write(b'\n{"done": 12')
    assert told.search([]) == [FaultKind.LOST]


def kept(store: Store, told: Told) -> list[Fault]:
    return check_look(look(store), read_ledger(told.path))


def test_what_a_store_holds_is_compared_with_what_was_acknowledged(told: Told) -> None:
    store = open_store("memory://")
    gallery = open_gallery(store, UPGRADE)
    told.write(FIRST)
    assert [fault.kind for fault in kept(store, told)] == [FaultKind.LOST]
    gallery.upsert([7], old=old_of(1)[None], payload=[{"revision": 1}])
    assert kept(store, told) == []
    gallery.upsert([7], old=old_of(2)[None], payload=[{"revision": 1}])
    assert {fault.kind for fault in kept(store, told)} == {FaultKind.STALE}
    store.put([Draft(7, {}, {"revision": 1})])
    assert [fault.kind for fault in kept(store, told)] == [FaultKind.LOST]
    gallery.upsert([7], old=old_of(1)[None], payload=[{"revision": 1}])
    told.write(SECOND)
    assert [fault.kind for fault in kept(store, told)] == [FaultKind.STALE]
    told.write(ABSENT)
    assert [fault.kind for fault in kept(store, told)] == [FaultKind.UNDEAD]
