"""The journal: a durable queue."""

import sqlite3
from pathlib import Path

import pytest

from crossfade.backfill.old_journal import JobRow, Journal, Parking, QueueCounts, Settled
from crossfade.backfill.status import JobState, ParkedItem
from crossfade.errors import StoreError
from crossfade.stores import Id, Item

JOB = JobRow("upgrade", "random", 7, JobState.RUNNING, None)
IDS: list[Id] = [3, "3", -1, "ü", 2**63 - 1]


@pytest.fixture
def journal(tmp_path: Path) -> Journal:
    journal = Journal(str(tmp_path / "journal.sqlite3"))
    journal.begin(JOB, IDS)
    return journal


def lacking(id: Id, version: int = 1) -> Item:
    return Item(id, version, {}, {})


def test_the_queue_is_taken_in_order_and_stays_until_it_is_settled(journal: Journal) -> None:
    assert journal.take(3) == [3, "3", -1]
    assert journal.take(3) == [3, "3", -1]
    journal.settle(Settled(done=[3], gone=["3"]), 0.5)
    assert journal.take(9) == [-1, "ü", 2**63 - 1]
    assert journal.counts() == QueueCounts(done=1, pending=3, parked=0)


def test_everything_is_found_again(journal: Journal, tmp_path: Path) -> None:
    journal.settle(Settled(done=[3], parked=[Parking("ü", 4, "broken")]), 0.25)
    journal.set_state(JobState.PAUSED, "out of paper")
    journal.close()
    again = Journal(str(tmp_path / "journal.sqlite3"))
    assert again.job() == JobRow("upgrade", "random", 7, JobState.PAUSED, "out of paper")
    assert again.take(9) == ["3", -1, 2**63 - 1]
    assert again.parked() == [ParkedItem("ü", "broken")]
    assert again.rate() == 4.0


def test_a_priority_goes_first(journal: Journal, tmp_path: Path) -> None:
    with sqlite3.connect(tmp_path / "journal.sqlite3") as database:
        database.execute("UPDATE queue SET priority = 1 WHERE item = '-1'")
    database.close()
    assert journal.take(2) == [-1, 3]


def test_stale_items_wait_until_they_are_queued_again_behind_all_others(journal: Journal) -> None:
    journal.settle(Settled(stale=[3]))
    assert journal.take(9) == ["3", -1, "ü", 2**63 - 1]
    assert journal.counts().pending == 5
    assert journal.enqueue([lacking(3)]) == 1
    assert journal.take(9) == ["3", -1, "ü", 2**63 - 1, 3]


def test_only_what_does_not_wait_is_queued(journal: Journal) -> None:
    journal.settle(Settled(done=[3], parked=[Parking("ü", 4, "broken")]))
    items = [lacking(3), lacking("3"), lacking("late"), lacking("ü", version=4)]
    assert journal.enqueue(items) == 2
    assert journal.take(9) == ["3", -1, 2**63 - 1, 3, "late"]
    assert journal.enqueue(items) == 0


def test_a_parked_item_is_queued_again_when_it_was_rewritten(journal: Journal) -> None:
    journal.settle(Settled(parked=[Parking("ü", 4, "broken")]))
    assert journal.enqueue([lacking("ü", version=5)]) == 1
    assert journal.parked() == []
    assert journal.take(9)[-1] == "ü"


def test_parked_items_can_be_put_back(journal: Journal) -> None:
    journal.settle(Settled(parked=[Parking("ü", 4, "broken"), Parking(3, 1, "bad")]))
    assert journal.unpark() == 2
    assert journal.counts() == QueueCounts(done=0, pending=5, parked=0)


def test_the_rate_is_that_of_the_last_batches(journal: Journal) -> None:
    assert journal.rate() is None
    journal.settle(Settled(done=[3]), 1000.0)
    for _ in range(20):
        journal.settle(Settled(done=["3"]), 0.5)
    assert journal.rate() == 2.0


def test_pausing_changes_only_a_running_job(journal: Journal) -> None:
    journal.pause()
    assert journal.job() == JobRow("upgrade", "random", 7, JobState.PAUSED, None)
    journal.set_state(JobState.COMPLETE)
    journal.pause()
    job = journal.job()
    assert job is not None and job.state is JobState.COMPLETE


def test_a_new_job_replaces_the_earlier_one_whole(journal: Journal) -> None:
    journal.settle(Settled(done=[3], parked=[Parking("ü", 4, "broken")]), 1.0)
    journal.begin(JobRow("other", "gallery", 0, JobState.RUNNING, None), ["a"])
    assert journal.take(9) == ["a"]
    assert (journal.parked(), journal.rate()) == ([], None)
    journal.clear()
    assert journal.job() is None and journal.take(9) == []


def test_a_job_cut_off_while_its_queue_is_written_was_never_begun(tmp_path: Path) -> None:
    journal = Journal(str(tmp_path / "journal.sqlite3"))

    class Interrupted(list[Id]):
        def __iter__(self):  # type: ignore[no-untyped-def]
            yield 1
            raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        journal.begin(JOB, Interrupted())
    assert journal.job() is None and journal.take(9) == []


@pytest.mark.parametrize("content", [b"no database at all" * 100, b"SQLite format 3\0" + b"x" * 50])
def test_a_damaged_journal_says_what_to_do(tmp_path: Path, content: bytes) -> None:
    path = tmp_path / "journal.sqlite3"
    path.write_bytes(content)
    with pytest.raises(StoreError, match="remove it, and the next run makes a new one"):
        Journal(str(path))


def test_a_journal_of_a_newer_release_is_refused(tmp_path: Path) -> None:
    path = tmp_path / "journal.sqlite3"
    with sqlite3.connect(path) as database:
        database.execute("PRAGMA user_version = 9")
    database.close()
    with pytest.raises(StoreError, match="format 9, this release reads 1"):
        Journal(str(path))
