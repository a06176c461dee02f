"""A leased item belongs to one worker, as long as that one lives."""

from __future__ import annotations

import threading
import time
from pathlib import Path

import pytest

from crossfade.backfill.journal import Journal, Parking, QueueCounts, Settled
from crossfade.backfill.status import JobState
from crossfade.errors import JobLocked
from crossfade.stores import Id
from crossfade.testing.journal.filled import FilledJournal
from crossfade.testing.journal.steps import (
    IDS,
    JOB,
    LONG_SECONDS,
    fill,
    lease,
    state_of,
)

__all__ = ["WorkersContract"]


class WorkersContract(FilledJournal):
    """A leased item belongs to one worker, as long as that one lives."""

    def test_a_leased_item_belongs_to_one_worker(self, journal: Journal) -> None:
        assert lease(journal, 2, "a") == [3, "3"]
        assert lease(journal, 9, "b") == IDS[2:]
        assert lease(journal, 9, "a") == []
        journal.settle("b", Settled(done=[3, -1], gone=["3"], parked=[Parking(3, 1, "not mine")]))
        assert journal.counts() == QueueCounts(done=1, pending=0, leased=4, parked=0)
        journal.settle("nobody", Settled(done=[3], stale=["3"]), 1.0)
        assert journal.counts() == QueueCounts(done=1, pending=0, leased=4, parked=0)

    def test_a_worker_of_another_upgrade_gets_nothing(self, journal: Journal) -> None:
        assert journal.lease(9, "a", LONG_SECONDS, "another upgrade") == []
        assert journal.counts().leased == 0
        assert len(journal.lease(9, "a", LONG_SECONDS, JOB.upgrade_id)) == len(IDS)

    def test_a_dead_worker_s_items_are_taken_over_and_its_word_no_longer_counts(
        self, journal: Journal
    ) -> None:
        assert lease(journal, 2, "dead", self.short_seconds) == [3, "3"]
        assert journal.begin_sweep("dead")
        time.sleep(2 * self.short_seconds)
        assert journal.workers() == [] and not journal.renew("dead", LONG_SECONDS)
        assert lease(journal, 1) == [3]
        journal.settle("dead", Settled(done=[3], gone=["3"]))
        assert journal.counts() == QueueCounts(done=0, pending=4, leased=1, parked=0)
        assert journal.begin_sweep("w")
        assert lease(journal, 1, "dead") == ["3"], "it may join anew"
        assert journal.workers() == ["dead", "w"]

    def test_a_heartbeat_keeps_a_lease(self, journal: Journal) -> None:
        assert lease(journal, 2, "slow", 4 * self.short_seconds) == [3, "3"]
        for _ in range(4):
            time.sleep(2 * self.short_seconds)
            assert journal.renew("slow", 4 * self.short_seconds)
        assert lease(journal) == IDS[2:]
        journal.settle("slow", Settled(done=[3, "3"]))
        assert journal.counts().done == 2

    def test_a_lease_renews_too(self, journal: Journal) -> None:
        assert lease(journal, 1, "w", self.short_seconds) == [3]
        assert lease(journal, 1, "w", LONG_SECONDS) == ["3"]
        time.sleep(2 * self.short_seconds)
        assert journal.workers() == ["w"]

    def test_a_worker_that_leaves_gives_everything_back(self, journal: Journal) -> None:
        lease(journal, 2, "a")
        assert journal.begin_sweep("a")
        journal.leave("a")
        journal.leave("a")
        assert journal.workers() == [] and state_of(journal) == (JobState.RUNNING, None)
        assert lease(journal, 9, "b") == IDS
        assert journal.begin_sweep("b")

    def test_all_workers_can_be_evicted(self, journal: Journal) -> None:
        lease(journal, 2, "a")
        journal.join_alone("a", LONG_SECONDS)
        journal.evict()
        assert journal.workers() == [] and lease(journal, 9, "b") == IDS

    def test_the_last_worker_to_leave_pauses_the_job(self, journal: Journal) -> None:
        journal.join("a", LONG_SECONDS)
        journal.join("b", LONG_SECONDS)
        journal.leave("a", JobState.PAUSED, "out of paper")
        assert state_of(journal) == (JobState.RUNNING, "out of paper")
        journal.leave("b", JobState.PAUSED)
        assert state_of(journal) == (JobState.PAUSED, None)

    def test_any_worker_may_end_the_job_and_the_others_leave_it_so(self, journal: Journal) -> None:
        journal.join("a", LONG_SECONDS)
        journal.join("b", LONG_SECONDS)
        journal.leave("a", JobState.COMPLETE)
        journal.leave("b", JobState.PAUSED)
        assert state_of(journal) == (JobState.COMPLETE, None)

    def test_one_that_must_be_alone_and_workers_keep_each_other_out(self, journal: Journal) -> None:
        journal.join("host:17", LONG_SECONDS)
        with pytest.raises(JobLocked, match="host:17 is at work on this gallery"):
            journal.join_alone("b", LONG_SECONDS)
        journal.leave("host:17")
        journal.join_alone("b", LONG_SECONDS)
        journal.join_alone("b", self.short_seconds)
        refused = (journal.join, journal.join_alone, lambda *who: journal.lease(1, *who))
        for entrance in refused:
            with pytest.raises(JobLocked, match="a backfill job of b is at work"):
                entrance("host:17", LONG_SECONDS)
        time.sleep(2 * self.short_seconds)
        journal.join("host:17", LONG_SECONDS)
        assert journal.workers() == ["host:17"]

    def test_a_sweep_is_ended_by_its_own_worker_only(self, place: Path) -> None:
        journal = self.open_journal(place)
        journal.begin(JOB)
        assert not journal.begin_sweep("a"), "it has not joined"
        journal.join("a", LONG_SECONDS)
        journal.join("b", LONG_SECONDS)
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
        fill(journals[0], range(200))
        taken: list[Id] = []

        def work(journal: Journal, name: str) -> None:
            while ids := lease(journal, 7, name):
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
