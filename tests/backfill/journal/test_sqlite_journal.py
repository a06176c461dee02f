"""The journal in SQLite: the contract, and what is its own."""

import sqlite3
from pathlib import Path

import pytest

from crossfade.backfill.journal import Entry, JobRow, QueueCounts, SqliteJournal
from crossfade.backfill.journal.base import CLOCK_SLACK_SECONDS, TimedBatch, joint_rate
from crossfade.errors import StoreError, StoreUnavailable
from crossfade.testing.journal_contract import JournalContract

JOB = JobRow("upgrade", "random", 7)


class TestSqliteJournal(JournalContract):
    def open_journal(self, place: Path) -> SqliteJournal:
        return SqliteJournal(str(place))


class Clock:
    """A clock that is set by hand."""

    def __init__(self) -> None:
        self.now = 1_000_000.0

    def __call__(self) -> float:
        return self.now


def filled(path: str, clock: Clock, items: int = 5) -> SqliteJournal:
    journal = SqliteJournal(path, clock)
    journal.begin(JOB)
    journal.join("filler", 60)
    journal.begin_sweep("filler")
    journal.enqueue([Entry(id, 1, id) for id in range(items)])
    journal.end_sweep("filler")
    journal.leave("filler")
    return journal


@pytest.mark.parametrize("jump", [61.0, 1e9, -CLOCK_SLACK_SECONDS - 1, -1e9])
def test_a_clock_that_jumps_costs_a_lease_and_nothing_else(jump: float) -> None:
    clock = Clock()
    journal = filled(":memory:", clock)
    assert len(journal.lease(2, "a", 60)) == 2
    clock.now += jump
    assert journal.counts().leased == 2
    assert [one.id for one in journal.lease(9, "b", 60)] == [0, 1, 2, 3, 4]
    assert not journal.renew("a", 60)
    clock.now -= jump
    journal.evict()
    assert journal.counts() == QueueCounts(done=0, pending=5, leased=0, parked=0)


@pytest.mark.parametrize("step", [0.0, 59.0, -CLOCK_SLACK_SECONDS])
def test_a_clock_that_is_set_right_costs_no_lease(step: float) -> None:
    clock = Clock()
    journal = filled(":memory:", clock)
    journal.lease(2, "a", 60)
    clock.now += step
    assert len(journal.lease(9, "b", 60)) == 3
    assert journal.renew("a", 60)


def test_the_joint_rate_counts_busy_time_once_and_pauses_not_at_all() -> None:
    assert joint_rate([]) is None
    assert joint_rate([TimedBatch(0, 1.0, 1.0)]) is None
    side_by_side = [TimedBatch(10, 2.0, 2.0), TimedBatch(10, 3.0, 2.0)]
    assert joint_rate(side_by_side) == pytest.approx(20 / 3)
    assert joint_rate([*side_by_side, TimedBatch(10, 1000.0, 1.0)]) == pytest.approx(30 / 4)
    assert joint_rate([TimedBatch(10, 9.0, 9.0), TimedBatch(10, 5.0, 1.0)]) == pytest.approx(20 / 9)


@pytest.mark.parametrize("content", [b"no database at all" * 100, b"SQLite format 3\0" + b"x" * 50])
def test_a_damaged_journal_says_what_to_do(tmp_path: Path, content: bytes) -> None:
    path = tmp_path / "journal.sqlite3"
    path.write_bytes(content)
    with pytest.raises(StoreError, match="remove it, and the next run makes a new one"):
        SqliteJournal(str(path))


def test_a_journal_of_a_newer_release_is_refused(tmp_path: Path) -> None:
    path = tmp_path / "journal.sqlite3"
    with sqlite3.connect(path) as database:
        database.execute("PRAGMA user_version = 9")
    database.close()
    with pytest.raises(StoreError, match="format 9, this release reads 2"):
        SqliteJournal(str(path))


def test_a_journal_of_an_older_release_is_begun_anew(tmp_path: Path) -> None:
    path = tmp_path / "journal.sqlite3"
    with sqlite3.connect(path) as database:
        database.executescript(
            "CREATE TABLE queue (position INTEGER PRIMARY KEY, item TEXT NOT NULL);"
            "CREATE TABLE batches (number INTEGER PRIMARY KEY AUTOINCREMENT);"
            "INSERT INTO queue VALUES (1, '3'); PRAGMA user_version = 1"
        )
    database.close()
    journal = filled(str(path), Clock())
    assert journal.counts().pending == 5


def test_a_transaction_that_fails_leaves_nothing(tmp_path: Path) -> None:
    journal = filled(str(tmp_path / "journal.sqlite3"), Clock())
    with pytest.raises(StoreError, match=r"journal\.sqlite3 failed: NOT NULL"):
        journal.enqueue([Entry("fine", 1, 0.0), Entry("not a number", 1, float("nan"))])
    assert journal.counts().pending == 5
    assert journal.enqueue([Entry("fine", 1, 0.0)]) == 1


def test_a_full_disk_is_named_and_nothing_is_lost(tmp_path: Path) -> None:
    journal = filled(str(tmp_path / "journal.sqlite3"), Clock())
    journal._database.rows("PRAGMA max_page_count = 40")
    with pytest.raises(StoreError, match="no room is left for the journal"):
        journal.enqueue([Entry(f"{id:09}", 1, id) for id in range(100_000)])
    assert journal.counts().pending == 5
    assert len(journal.lease(9, "a", 60)) == 5


def test_a_file_held_by_another_process_may_be_tried_again(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("crossfade.backfill.journal.database._BUSY_SECONDS", 0.05)
    path = tmp_path / "journal.sqlite3"
    journal = filled(str(path), Clock())
    other = sqlite3.connect(path, isolation_level=None)
    other.execute("BEGIN IMMEDIATE")
    with pytest.raises(StoreUnavailable, match="held by another process"):
        journal.pause()
    other.execute("ROLLBACK")
    other.close()
    assert journal.pause()
