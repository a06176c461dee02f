"""A job is begun once, and its state is durable."""

from __future__ import annotations

from pathlib import Path

from crossfade.backfill.journal import JobRow, Journal, Parking, QueueCounts, Settled
from crossfade.backfill.status import JobState, ParkedItem
from crossfade.testing.journal.filled import FilledJournal
from crossfade.testing.journal.steps import (
    IDS,
    JOB,
    lease,
    state_of,
)

__all__ = ["JobContract"]


class JobContract(FilledJournal):
    """A job is begun once, and its state is durable."""

    def test_there_is_no_job_before_the_first(self, place: Path) -> None:
        journal = self.open_journal(place)
        assert journal.job() is None and not journal.pause()
        journal.set_state(JobState.PAUSED)
        journal.clear()
        journal.end_sweep("w")
        assert journal.job() is None and journal.workers() == []
        assert (journal.counts(), journal.rate()) == (QueueCounts(0, 0, 0, 0), None)
        assert not journal.begin_sweep("w") and lease(journal) == []

    def test_a_job_is_begun_once(self, journal: Journal) -> None:
        other = JobRow(JOB.upgrade_id, "gallery", 1)
        begun = journal.begin(other)
        assert begun == journal.job()
        assert (begun.order, begun.seed, begun.filled) == ("random", 7, True)
        assert lease(journal) == IDS

    def test_a_job_of_another_upgrade_replaces_the_earlier_one_whole(
        self, journal: Journal
    ) -> None:
        assert lease(journal, 2) == [3, "3"]
        journal.settle("w", Settled(done=[3], parked=[Parking("3", 4, "broken")]), 1.0)
        other = JobRow("other", "gallery", 0)
        assert journal.begin(other) == other == journal.job()
        assert (journal.counts(), journal.rate()) == (QueueCounts(0, 0, 0, 0), None)
        assert journal.parked(9) == [] and lease(journal) == []
        assert journal.workers() == ["w"]
        journal.clear()
        assert journal.job() is None and journal.workers() == ["w"]

    def test_the_state_is_recorded_with_its_error(self, journal: Journal) -> None:
        journal.set_state(JobState.PAUSED, "out of paper")
        assert state_of(journal) == (JobState.PAUSED, "out of paper")
        journal.set_state(JobState.RUNNING)
        assert state_of(journal) == (JobState.RUNNING, None)

    def test_pausing_changes_only_a_running_job_and_ends_the_leases(self, journal: Journal) -> None:
        assert journal.pause() and not journal.pause()
        assert state_of(journal) == (JobState.PAUSED, None) and lease(journal) == []
        journal.set_state(JobState.COMPLETE)
        assert not journal.pause() and state_of(journal) == (JobState.COMPLETE, None)

    def test_a_pause_is_seen_by_whoever_has_it_open(self, journal: Journal, place: Path) -> None:
        with_it = self.open_journal(place)
        assert with_it.pause()
        assert state_of(journal) == (JobState.PAUSED, None)
        with_it.close()

    def test_everything_is_found_again(self, journal: Journal, place: Path) -> None:
        assert lease(journal, 4) == IDS[:4]
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
