"""Items are queued, leased in order, and settled."""

from __future__ import annotations

from pathlib import Path

from crossfade.backfill.journal import Entry, Journal, Parking, QueueCounts, Settled
from crossfade.backfill.status import ParkedItem
from crossfade.stores import Id
from crossfade.testing.contract.values import AWKWARD_IDS
from crossfade.testing.journal.filled import FilledJournal
from crossfade.testing.journal.steps import (
    IDS,
    JOB,
    LONG_SECONDS,
    entries_of,
    fill,
    lease,
)

__all__ = ["QueueContract"]


class QueueContract(FilledJournal):
    """Items are queued, leased in order, and settled."""

    def test_nothing_is_leased_before_the_queue_is_filled(self, place: Path) -> None:
        journal = self.open_journal(place)
        journal.begin(JOB)
        journal.join("w", LONG_SECONDS)
        assert journal.begin_sweep("w")
        assert journal.enqueue(entries_of(IDS)) == 5
        assert lease(journal) == []
        journal.end_sweep("w")
        assert lease(journal) == IDS

    def test_the_lowest_key_comes_first(self, journal: Journal) -> None:
        ids: list[Id] = ["late", "early", "later"]
        keys = [-1.5, -1e300, 0.25]
        entries = [Entry(id, 1, key) for id, key in zip(ids, keys, strict=True)]
        assert journal.enqueue(entries) == 3
        assert lease(journal) == ["early", "late", 3, "later", *IDS[1:]]

    def test_every_id_comes_back_as_it_was(self, place: Path) -> None:
        journal = self.open_journal(place)
        fill(journal, AWKWARD_IDS)
        leased = lease(journal, 99)
        assert leased == AWKWARD_IDS and [*map(type, leased)] == [*map(type, AWKWARD_IDS)]
        parked = [Parking(id, 1, "ü🙂") for id in leased]
        journal.settle("w", Settled(parked=parked))
        pages = [journal.parked(7)]
        while pages[-1]:
            pages.append(journal.parked(7, after=pages[-1][-1].id))
        found = [item.id for page in pages for item in page]
        assert sorted(map(repr, found)) == sorted(map(repr, AWKWARD_IDS))
        journal.strike(AWKWARD_IDS[:3])
        assert journal.counts().parked == len(AWKWARD_IDS) - 3
        assert journal.unpark() == len(AWKWARD_IDS) - 3
        assert sorted(map(repr, lease(journal, 99))) == sorted(map(repr, AWKWARD_IDS[3:]))

    def test_what_waits_or_is_leased_is_not_queued_again(self, journal: Journal) -> None:
        assert lease(journal, 1) == [3]
        assert journal.enqueue([Entry(3, 9, -9.0), Entry("3", 9, -9.0), Entry("new", 1, 99)]) == 1
        assert lease(journal) == ["3", -1, "ü", 2**63 - 1, "new"]

    def test_queuing_nothing_and_settling_nothing_is_allowed(self, journal: Journal) -> None:
        assert journal.enqueue([]) == 0 and journal.prioritise({}) == 0
        journal.settle("w", Settled())
        journal.strike([])
        assert lease(journal, 0) == [] and lease(journal) == IDS

    def test_done_and_deleted_items_are_struck_out_and_the_done_are_counted(
        self, journal: Journal
    ) -> None:
        lease(journal, 3)
        journal.settle("w", Settled(done=[3, "3"], gone=[-1]), 0.5)
        assert journal.counts() == QueueCounts(done=2, pending=2, leased=0, parked=0)
        assert journal.rate() == 4.0
        assert journal.enqueue(entries_of([3])) == 1, "it was rewritten, and lacks its vector again"

    def test_stale_items_wait_until_they_are_queued_again_behind_all_others(
        self, journal: Journal
    ) -> None:
        lease(journal, 1)
        journal.settle("w", Settled(stale=[3]))
        assert journal.counts() == QueueCounts(done=0, pending=5, leased=0, parked=0)
        lease(journal, 1)
        journal.settle("w", Settled(back=["3"]))
        assert journal.enqueue([Entry(3, 2, -9.0)]) == 1
        assert lease(journal) == ["3", -1, "ü", 2**63 - 1, 3]

    def test_stale_items_that_a_sweep_does_not_queue_are_forgotten(self, journal: Journal) -> None:
        lease(journal, 2)
        journal.settle("w", Settled(stale=[3, "3"]))
        assert journal.begin_sweep("w")
        assert journal.enqueue(entries_of([3])) == 1
        assert journal.counts().pending == 5
        journal.end_sweep("w")
        assert journal.counts().pending == 4

    def test_items_given_back_wait_where_they_did(self, journal: Journal) -> None:
        lease(journal, 3)
        journal.settle("w", Settled(done=[3], back=["3", -1]), 0.5)
        assert lease(journal) == ["3", -1, "ü", 2**63 - 1]

    def test_a_parked_item_is_queued_again_only_when_it_was_rewritten(
        self, journal: Journal
    ) -> None:
        lease(journal)
        journal.settle("w", Settled(parked=[Parking("ü", 4, "broken")], back=[3]))
        assert journal.enqueue([Entry("ü", 4, 0.0)]) == 0
        assert journal.enqueue([Entry("ü", 5, -9.0)]) == 1
        assert journal.parked(9) == []
        assert [(one.id, one.failed_before) for one in journal.lease(9, "w", LONG_SECONDS)] == [
            (3, False),
            ("ü", False),
        ]

    def test_parked_items_are_put_back_behind_all_others_and_are_known(
        self, journal: Journal
    ) -> None:
        lease(journal, 2)
        journal.settle("w", Settled(parked=[Parking(3, 1, "bad"), Parking("3", 1, "worse")]))
        assert journal.parked(9) == sorted(
            [ParkedItem(3, "bad"), ParkedItem("3", "worse")], key=lambda item: str(type(item.id))
        )
        assert journal.unpark() == 2 and journal.unpark() == 0
        leased = journal.lease(9, "w", LONG_SECONDS)
        assert [one.id for one in leased] == [-1, "ü", 2**63 - 1, 3, "3"]
        assert [one.failed_before for one in leased] == [False, False, False, True, True]

    def test_only_parked_items_are_struck_out(self, journal: Journal) -> None:
        lease(journal, 2)
        journal.settle("w", Settled(parked=[Parking(3, 1, "bad")]))
        journal.strike(IDS)
        assert journal.counts() == QueueCounts(done=0, pending=3, leased=1, parked=0)

    def test_a_higher_priority_goes_first_whenever_it_is_given(self, journal: Journal) -> None:
        assert journal.prioritise({"ü": 1, -1: 1, "unknown": 1}) == 2
        assert lease(journal, 1) == [-1]
        assert journal.prioritise({-1: 3, "ü": 2, 2**63 - 1: 3}) == 2, (
            "what is leased stays as it is"
        )
        assert lease(journal, 2) == [2**63 - 1, "ü"]
        assert journal.prioritise({3: 5}) == 1 and journal.prioritise({3: 4}) == 0
        assert lease(journal) == [3, "3"]

    def test_the_rate_counts_workers_side_by_side_once_and_the_last_batches_only(
        self, journal: Journal
    ) -> None:
        assert journal.rate() is None
        lease(journal)
        journal.settle("w", Settled(done=[3]), 1000.0)
        for _ in range(20):
            journal.settle("w", Settled(back=[3]), 0.5)
        assert journal.rate() is None, "nothing was done in these"
        journal.settle("w", Settled(done=["3", -1]), 0.5)
        rate = journal.rate()
        # Twenty batches of half a second that ended within a moment overlap.
        assert rate is not None and 0.4 < rate <= 4.0
