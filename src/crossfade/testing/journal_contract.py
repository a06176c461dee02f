"""The journal contract as tests. Subclass it, say how a journal is opened, and run pytest:

    class TestMyJournal(JournalContract):
        def open_journal(self, place: Path) -> Journal:
            return MyJournal(...)

``place`` is a path that does not exist yet. Opening it again, while it is open or after it was
closed, must give the same journal. Workers in these tests die after a fraction of a second.
"""

from __future__ import annotations

import threading
import time
from abc import ABC, abstractmethod
from collections.abc import Iterator, Sequence
from pathlib import Path

import pytest

from crossfade.backfill.journal import Entry, JobRow, Journal, Parking, QueueCounts, Settled
from crossfade.backfill.status import JobState, ParkedItem
from crossfade.errors import JobLocked
from crossfade.stores import Id
from crossfade.testing.store_contract import AWKWARD_IDS

__all__ = ["JournalContract"]

JOB = JobRow("upgrade", "random", 7)
IDS: list[Id] = [3, "3", -1, "ü", 2**63 - 1]
_LONG = 60.0


class JournalContract(ABC):
    """Everything that :class:`crossfade.backfill.journal.Journal` promises.

    Attributes:
        short_seconds: after which workers die here; longer than a few calls take.
    """

    short_seconds = 0.05

    @abstractmethod
    def open_journal(self, place: Path) -> Journal:
        """Open or create the journal at a place."""

    @pytest.fixture
    def place(self, tmp_path: Path) -> Path:
        """Where this test's journal is."""
        return tmp_path / "journal"

    @pytest.fixture
    def journal(self, place: Path) -> Iterator[Journal]:
        """A job whose queue holds IDS in this order."""
        journal = self.open_journal(place)
        _fill(journal, IDS)
        yield journal
        journal.close()

    # The job

    def test_there_is_no_job_before_the_first(self, place: Path) -> None:
        journal = self.open_journal(place)
        assert journal.job() is None and not journal.pause()
        journal.set_state(JobState.PAUSED)
        journal.clear()
        journal.end_sweep("w")
        assert journal.job() is None and journal.workers() == []
        assert (journal.counts(), journal.rate()) == (QueueCounts(0, 0, 0, 0), None)
        assert not journal.begin_sweep("w") and _lease(journal) == []

    def test_a_job_is_begun_once(self, journal: Journal) -> None:
        other = JobRow(JOB.upgrade_id, "gallery", 1)
        begun = journal.begin(other)
        assert begun == journal.job()
        assert (begun.order, begun.seed, begun.filled) == ("random", 7, True)
        assert _lease(journal) == IDS

    def test_a_job_of_another_upgrade_replaces_the_earlier_one_whole(
        self, journal: Journal
    ) -> None:
        assert _lease(journal, 2) == [3, "3"]
        journal.settle("w", Settled(done=[3], parked=[Parking("3", 4, "broken")]), 1.0)
        other = JobRow("other", "gallery", 0)
        assert journal.begin(other) == other == journal.job()
        assert (journal.counts(), journal.rate()) == (QueueCounts(0, 0, 0, 0), None)
        assert journal.parked(9) == [] and _lease(journal) == []
        assert journal.workers() == ["w"]
        journal.clear()
        assert journal.job() is None and journal.workers() == ["w"]

    def test_the_state_is_recorded_with_its_error(self, journal: Journal) -> None:
        journal.set_state(JobState.PAUSED, "out of paper")
        assert _state(journal) == (JobState.PAUSED, "out of paper")
        journal.set_state(JobState.RUNNING)
        assert _state(journal) == (JobState.RUNNING, None)

    def test_pausing_changes_only_a_running_job_and_ends_the_leases(self, journal: Journal) -> None:
        assert journal.pause() and not journal.pause()
        assert _state(journal) == (JobState.PAUSED, None) and _lease(journal) == []
        journal.set_state(JobState.COMPLETE)
        assert not journal.pause() and _state(journal) == (JobState.COMPLETE, None)

    def test_a_pause_is_seen_by_whoever_has_it_open(self, journal: Journal, place: Path) -> None:
        with_it = self.open_journal(place)
        assert with_it.pause()
        assert _state(journal) == (JobState.PAUSED, None)
        with_it.close()

    def test_everything_is_found_again(self, journal: Journal, place: Path) -> None:
        assert _lease(journal, 4) == IDS[:4]
        journal.settle("w", Settled(done=[3], parked=[Parking("ü", 4, "broken")]), 0.25)
        journal.set_state(JobState.PAUSED, "out of paper")
        journal.close()
        journal.close()
        again = self.open_journal(place)
        expected = JobRow("upgrade", "random", 7, JobState.PAUSED, "out of paper", True)
        assert again.job() == expected
        assert again.counts() == QueueCounts(done=1, pending=1, leased=2, parked=1)
        assert again.parked(9) == [ParkedItem("ü", "broken")]
        assert again.rate() == 4.0 and again.workers() == ["w"]
        again.close()

    # The queue

    def test_nothing_is_leased_before_the_queue_is_filled(self, place: Path) -> None:
        journal = self.open_journal(place)
        journal.begin(JOB)
        journal.join("w", _LONG)
        assert journal.begin_sweep("w")
        assert journal.enqueue(_entries(IDS)) == 5
        assert _lease(journal) == []
        journal.end_sweep("w")
        assert _lease(journal) == IDS

    def test_the_lowest_key_comes_first(self, journal: Journal) -> None:
        ids: list[Id] = ["late", "early", "later"]
        keys = [-1.5, -1e300, 0.25]
        entries = [Entry(id, 1, key) for id, key in zip(ids, keys, strict=True)]
        assert journal.enqueue(entries) == 3
        assert _lease(journal) == ["early", "late", 3, "later", *IDS[1:]]

    def test_every_id_comes_back_as_it_was(self, place: Path) -> None:
        journal = self.open_journal(place)
        _fill(journal, AWKWARD_IDS)
        leased = _lease(journal, 99)
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
        assert sorted(map(repr, _lease(journal, 99))) == sorted(map(repr, AWKWARD_IDS[3:]))

    def test_what_waits_or_is_leased_is_not_queued_again(self, journal: Journal) -> None:
        assert _lease(journal, 1) == [3]
        assert journal.enqueue([Entry(3, 9, -9.0), Entry("3", 9, -9.0), Entry("new", 1, 99)]) == 1
        assert _lease(journal) == ["3", -1, "ü", 2**63 - 1, "new"]

    def test_queuing_nothing_and_settling_nothing_is_allowed(self, journal: Journal) -> None:
        assert journal.enqueue([]) == 0 and journal.prioritise([], 1) == 0
        journal.settle("w", Settled())
        journal.strike([])
        assert _lease(journal, 0) == [] and _lease(journal) == IDS

    def test_done_and_deleted_items_are_struck_out_and_the_done_are_counted(
        self, journal: Journal
    ) -> None:
        _lease(journal, 3)
        journal.settle("w", Settled(done=[3, "3"], gone=[-1]), 0.5)
        assert journal.counts() == QueueCounts(done=2, pending=2, leased=0, parked=0)
        assert journal.rate() == 4.0
        assert journal.enqueue(_entries([3])) == 1, "it was rewritten, and lacks its vector again"

    def test_stale_items_wait_until_they_are_queued_again_behind_all_others(
        self, journal: Journal
    ) -> None:
        _lease(journal, 1)
        journal.settle("w", Settled(stale=[3]))
        assert journal.counts() == QueueCounts(done=0, pending=5, leased=0, parked=0)
        _lease(journal, 1)
        journal.settle("w", Settled(back=["3"]))
        assert journal.enqueue([Entry(3, 2, -9.0)]) == 1
        assert _lease(journal) == ["3", -1, "ü", 2**63 - 1, 3]

    def test_stale_items_that_a_sweep_does_not_queue_are_forgotten(self, journal: Journal) -> None:
        _lease(journal, 2)
        journal.settle("w", Settled(stale=[3, "3"]))
        assert journal.begin_sweep("w")
        assert journal.enqueue(_entries([3])) == 1
        assert journal.counts().pending == 5
        journal.end_sweep("w")
        assert journal.counts().pending == 4

    def test_items_given_back_wait_where_they_did(self, journal: Journal) -> None:
        _lease(journal, 3)
        journal.settle("w", Settled(done=[3], back=["3", -1]), 0.5)
        assert _lease(journal) == ["3", -1, "ü", 2**63 - 1]

    def test_a_parked_item_is_queued_again_only_when_it_was_rewritten(
        self, journal: Journal
    ) -> None:
        _lease(journal)
        journal.settle("w", Settled(parked=[Parking("ü", 4, "broken")], back=[3]))
        assert journal.enqueue([Entry("ü", 4, 0.0)]) == 0
        assert journal.enqueue([Entry("ü", 5, -9.0)]) == 1
        assert journal.parked(9) == []
        assert [(one.id, one.failed_before) for one in journal.lease(9, "w", _LONG)] == [
            (3, False),
            ("ü", False),
        ]

    def test_parked_items_are_put_back_behind_all_others_and_are_known(
        self, journal: Journal
    ) -> None:
        _lease(journal, 2)
        journal.settle("w", Settled(parked=[Parking(3, 1, "bad"), Parking("3", 1, "worse")]))
        assert journal.parked(9) == sorted(
            [ParkedItem(3, "bad"), ParkedItem("3", "worse")], key=lambda item: str(type(item.id))
        )
        assert journal.unpark() == 2 and journal.unpark() == 0
        leased = journal.lease(9, "w", _LONG)
        assert [one.id for one in leased] == [-1, "ü", 2**63 - 1, 3, "3"]
        assert [one.failed_before for one in leased] == [False, False, False, True, True]

    def test_only_parked_items_are_struck_out(self, journal: Journal) -> None:
        _lease(journal, 2)
        journal.settle("w", Settled(parked=[Parking(3, 1, "bad")]))
        journal.strike(IDS)
        assert journal.counts() == QueueCounts(done=0, pending=3, leased=1, parked=0)

    def test_a_higher_priority_goes_first_whenever_it_is_given(self, journal: Journal) -> None:
        assert journal.prioritise(["ü", -1, "unknown"], 1) == 2
        assert _lease(journal, 1) == [-1]
        assert journal.prioritise([-1, "ü", 2**63 - 1], 2) == 2, "what is leased stays as it is"
        assert _lease(journal, 2) == ["ü", 2**63 - 1]
        assert journal.prioritise([3], 5) == 1 and journal.prioritise([3], 4) == 0
        assert _lease(journal) == [3, "3"]

    def test_the_rate_counts_workers_side_by_side_once_and_the_last_batches_only(
        self, journal: Journal
    ) -> None:
        assert journal.rate() is None
        _lease(journal)
        journal.settle("w", Settled(done=[3]), 1000.0)
        for _ in range(20):
            journal.settle("w", Settled(back=[3]), 0.5)
        assert journal.rate() is None, "nothing was done in these"
        journal.settle("w", Settled(done=["3", -1]), 0.5)
        rate = journal.rate()
        # Twenty batches of half a second that ended within a moment overlap.
        assert rate is not None and 0.4 < rate <= 4.0

    # Leases

    def test_a_leased_item_belongs_to_one_worker(self, journal: Journal) -> None:
        assert _lease(journal, 2, "a") == [3, "3"]
        assert _lease(journal, 9, "b") == IDS[2:]
        assert _lease(journal, 9, "a") == []
        journal.settle("b", Settled(done=[3, -1], gone=["3"], parked=[Parking(3, 1, "not mine")]))
        assert journal.counts() == QueueCounts(done=1, pending=0, leased=4, parked=0)
        journal.settle("nobody", Settled(done=[3], stale=["3"]), 1.0)
        assert journal.counts() == QueueCounts(done=1, pending=0, leased=4, parked=0)

    def test_a_dead_worker_s_items_are_taken_over_and_its_word_no_longer_counts(
        self, journal: Journal
    ) -> None:
        assert _lease(journal, 2, "dead", self.short_seconds) == [3, "3"]
        assert journal.begin_sweep("dead")
        time.sleep(2 * self.short_seconds)
        assert journal.workers() == [] and not journal.renew("dead", _LONG)
        assert _lease(journal, 1) == [3]
        journal.settle("dead", Settled(done=[3], gone=["3"]))
        assert journal.counts() == QueueCounts(done=0, pending=4, leased=1, parked=0)
        assert journal.begin_sweep("w")
        assert _lease(journal, 1, "dead") == ["3"], "it may join anew"
        assert journal.workers() == ["dead", "w"]

    def test_a_heartbeat_keeps_a_lease(self, journal: Journal) -> None:
        assert _lease(journal, 2, "slow", 4 * self.short_seconds) == [3, "3"]
        for _ in range(4):
            time.sleep(2 * self.short_seconds)
            assert journal.renew("slow", 4 * self.short_seconds)
        assert _lease(journal) == IDS[2:]
        journal.settle("slow", Settled(done=[3, "3"]))
        assert journal.counts().done == 2

    def test_a_lease_renews_too(self, journal: Journal) -> None:
        assert _lease(journal, 1, "w", self.short_seconds) == [3]
        assert _lease(journal, 1, "w", _LONG) == ["3"]
        time.sleep(2 * self.short_seconds)
        assert journal.workers() == ["w"]

    def test_a_worker_that_leaves_gives_everything_back(self, journal: Journal) -> None:
        _lease(journal, 2, "a")
        assert journal.begin_sweep("a")
        journal.leave("a")
        journal.leave("a")
        assert journal.workers() == [] and _state(journal) == (JobState.RUNNING, None)
        assert _lease(journal, 9, "b") == IDS
        assert journal.begin_sweep("b")

    def test_all_workers_can_be_evicted(self, journal: Journal) -> None:
        _lease(journal, 2, "a")
        journal.join_alone("a", _LONG)
        journal.evict()
        assert journal.workers() == [] and _lease(journal, 9, "b") == IDS

    def test_the_last_worker_to_leave_pauses_the_job(self, journal: Journal) -> None:
        journal.join("a", _LONG)
        journal.join("b", _LONG)
        journal.leave("a", JobState.PAUSED, "out of paper")
        assert _state(journal) == (JobState.RUNNING, "out of paper")
        journal.leave("b", JobState.PAUSED)
        assert _state(journal) == (JobState.PAUSED, None)

    def test_any_worker_may_end_the_job_and_the_others_leave_it_so(self, journal: Journal) -> None:
        journal.join("a", _LONG)
        journal.join("b", _LONG)
        journal.leave("a", JobState.COMPLETE)
        journal.leave("b", JobState.PAUSED)
        assert _state(journal) == (JobState.COMPLETE, None)

    def test_one_that_must_be_alone_and_workers_keep_each_other_out(self, journal: Journal) -> None:
        journal.join("host:17", _LONG)
        with pytest.raises(JobLocked, match="host:17 is at work on this gallery"):
            journal.join_alone("b", _LONG)
        journal.leave("host:17")
        journal.join_alone("b", _LONG)
        journal.join_alone("b", self.short_seconds)
        refused = (journal.join, journal.join_alone, lambda *who: journal.lease(1, *who))
        for entrance in refused:
            with pytest.raises(JobLocked, match="a backfill job of b is at work"):
                entrance("host:17", _LONG)
        time.sleep(2 * self.short_seconds)
        journal.join("host:17", _LONG)
        assert journal.workers() == ["host:17"]

    def test_a_sweep_is_ended_by_its_own_worker_only(self, place: Path) -> None:
        journal = self.open_journal(place)
        journal.begin(JOB)
        assert not journal.begin_sweep("a"), "it has not joined"
        journal.join("a", _LONG)
        journal.join("b", _LONG)
        assert journal.begin_sweep("a") and not journal.begin_sweep("b")
        assert journal.begin_sweep("a"), "its own was cut off"
        journal.end_sweep("b")
        job = journal.job()
        assert job is not None and not job.filled
        journal.end_sweep("a")
        job = journal.job()
        assert job is not None and job.filled and journal.begin_sweep("b")

    def test_workers_side_by_side_lease_each_item_once(self, place: Path) -> None:
        journals = [self.open_journal(place) for _ in range(2)]
        _fill(journals[0], range(200))
        taken: list[Id] = []

        def work(journal: Journal, name: str) -> None:
            while ids := _lease(journal, 7, name):
                taken.extend(ids)
                journal.settle(name, Settled(done=ids), 0.01)

        threads = [
            threading.Thread(target=work, args=(journals[row % 2], f"worker {row}"))
            for row in range(4)
        ]
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join()
        assert sorted(map(int, taken)) == list(range(200))
        assert journals[1].counts() == QueueCounts(done=200, pending=0, leased=0, parked=0)
        for journal in journals:
            journal.close()


def _fill(journal: Journal, ids: Sequence[Id]) -> None:
    journal.begin(JOB)
    journal.join("filler", _LONG)
    assert journal.begin_sweep("filler")
    journal.enqueue(_entries(ids))
    journal.end_sweep("filler")
    journal.leave("filler")


def _entries(ids: Sequence[Id]) -> list[Entry]:
    return [Entry(id, 1, float(position)) for position, id in enumerate(ids)]


def _lease(journal: Journal, n: int = 9, worker: str = "w", seconds: float = _LONG) -> list[Id]:
    return [leased.id for leased in journal.lease(n, worker, seconds)]


def _state(journal: Journal) -> tuple[JobState, str | None]:
    job = journal.job()
    assert job is not None
    return job.state, job.last_error
