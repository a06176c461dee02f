"""The journal in a SQLite file, for stores without a database of their own.

Several threads and processes may use one file: writers wait for each other. An item is struck
out when it is done, so the file holds what is left to do. Ids are stored as what they are:
SQLite tells the integer 5 from the text "5".
"""

from __future__ import annotations

import sqlite3
import time
from collections.abc import Callable, Iterable, Mapping, Sequence

from crossfade.backfill.journal.base import (
    BATCHES_KEPT,
    CLOCK_SLACK_SECONDS,
    REPEATED,
    Entry,
    JobRow,
    Journal,
    Leased,
    QueueCounts,
    Settled,
    TimedBatch,
    joint_rate,
    locked_by,
)
from crossfade.backfill.journal.database import Database
from crossfade.backfill.status import JobState, ParkedItem
from crossfade.stores import Id

__all__ = ["SqliteJournal"]

_FORMAT = 2
_PENDING, _LEASED, _STALE, _PARKED = range(4)
_SCHEMA = f"""
CREATE TABLE IF NOT EXISTS job (
    number INTEGER PRIMARY KEY CHECK (number = 1),
    upgrade TEXT NOT NULL,
    ordering TEXT NOT NULL,
    seed INTEGER NOT NULL,
    state TEXT NOT NULL,
    last_error TEXT,
    filled INTEGER NOT NULL DEFAULT 0,
    done INTEGER NOT NULL DEFAULT 0,
    sweeper INTEGER
);
CREATE TABLE IF NOT EXISTS workers (
    number INTEGER PRIMARY KEY AUTOINCREMENT,
    name TEXT NOT NULL UNIQUE,
    alone INTEGER NOT NULL,
    renewed REAL NOT NULL,
    until REAL NOT NULL
);
CREATE TABLE IF NOT EXISTS queue (
    item PRIMARY KEY NOT NULL,
    key REAL NOT NULL,
    priority INTEGER NOT NULL DEFAULT 0,
    state INTEGER NOT NULL DEFAULT {_PENDING},
    worker INTEGER,
    version INTEGER NOT NULL,
    reason TEXT
) WITHOUT ROWID;
CREATE INDEX IF NOT EXISTS pending ON queue (priority DESC, key) WHERE state = {_PENDING};
CREATE INDEX IF NOT EXISTS leased ON queue (worker) WHERE state = {_LEASED};
CREATE INDEX IF NOT EXISTS stale ON queue (state) WHERE state = {_STALE};
CREATE INDEX IF NOT EXISTS parked ON queue (item) WHERE state = {_PARKED};
CREATE TABLE IF NOT EXISTS batches (
    number INTEGER PRIMARY KEY AUTOINCREMENT,
    items INTEGER NOT NULL,
    ended REAL NOT NULL,
    seconds REAL NOT NULL
);
"""
_JOB_TABLES = ("job", "queue", "batches")


class SqliteJournal(Journal):
    """A file, or ``:memory:``.

    Args:
        clock: seconds since any fixed moment, the same for all users of the file.
    """

    def __init__(self, path: str, clock: Callable[[], float] = time.time) -> None:
        self._clock = clock
        self._database = Database(path, _FORMAT, _SCHEMA)

    # The job

    def job(self) -> JobRow | None:
        rows = self._database.rows(
            "SELECT upgrade, ordering, seed, state, last_error, filled FROM job"
        )
        if not rows:
            return None
        upgrade_id, order, seed, state, last_error, filled = rows[0]
        return JobRow(upgrade_id, order, seed, JobState(state), last_error, bool(filled))

    def begin(self, job: JobRow) -> JobRow:
        with self._database.transaction() as database:
            present = self.job()
            if present is not None and present.upgrade_id == job.upgrade_id:
                return present
            _forget_job(database)
            database.execute(
                "INSERT INTO job (number, upgrade, ordering, seed, state, last_error) "
                "VALUES (1, ?, ?, ?, ?, ?)",
                (job.upgrade_id, job.order, job.seed, job.state.value, job.last_error),
            )
        return job

    def set_state(self, state: JobState, last_error: str | None = None) -> None:
        with self._database.transaction() as database:
            _set_state(database, state, last_error)

    def pause(self) -> bool:
        with self._database.transaction() as database:
            paused = database.execute(
                "UPDATE job SET state = ? WHERE state = ?",
                (JobState.PAUSED.value, JobState.RUNNING.value),
            )
            return paused.rowcount > 0

    def clear(self) -> None:
        with self._database.transaction() as database:
            _forget_job(database)

    # Its workers

    def join(self, worker: str, seconds: float) -> None:
        with self._database.transaction() as database:
            self._join(database, worker, seconds)

    def join_alone(self, worker: str, seconds: float) -> None:
        with self._database.transaction() as database:
            self._bury_the_dead(database)
            others = database.execute("SELECT name FROM workers WHERE name <> ?", (worker,))
            if (other := others.fetchone()) is not None:
                raise locked_by(other[0])
            self._renew(database, worker, seconds, alone=True)

    def renew(self, worker: str, seconds: float) -> bool:
        with self._database.transaction() as database:
            self._bury_the_dead(database)
            now = self._clock()
            renewed = database.execute(
                "UPDATE workers SET renewed = ?, until = ? WHERE name = ?",
                (now, now + seconds, worker),
            )
            return renewed.rowcount > 0

    def leave(
        self, worker: str, state: JobState | None = None, last_error: str | None = None
    ) -> None:
        with self._database.transaction() as database:
            self._bury_the_dead(database)
            for (number,) in database.execute(
                "SELECT number FROM workers WHERE name = ?", [worker]
            ):
                _bury(database, number)
            if state is not None and (state is not JobState.PAUSED or _may_pause(database)):
                _set_state(database, state, last_error)
            elif last_error is not None:
                database.execute("UPDATE job SET last_error = ?", (last_error,))

    def evict(self) -> None:
        with self._database.transaction() as database:
            for (number,) in database.execute("SELECT number FROM workers").fetchall():
                _bury(database, number)

    def workers(self) -> list[str]:
        with self._database.transaction() as database:
            self._bury_the_dead(database)
            rows = database.execute("SELECT name FROM workers ORDER BY name")
            return [name for (name,) in rows]

    # Its queue

    def begin_sweep(self, worker: str) -> bool:
        with self._database.transaction() as database:
            self._bury_the_dead(database)
            number = _number(database, worker)
            swept = database.execute(
                "UPDATE job SET sweeper = ?1 WHERE ?1 NOT NULL AND COALESCE(sweeper, ?1) = ?1",
                (number,),
            )
            return swept.rowcount > 0

    def enqueue(self, entries: Sequence[Entry]) -> int:
        with self._database.transaction() as database:
            return database.executemany(
                "INSERT INTO queue (item, key, version) VALUES (?, ?, ?) "
                f"ON CONFLICT (item) DO UPDATE SET state = {_PENDING}, priority = {REPEATED}, "
                "key = excluded.key, version = excluded.version, reason = NULL "
                f"WHERE state = {_STALE} OR state = {_PARKED} AND version <> excluded.version",
                [(entry.id, entry.key, entry.version) for entry in entries],
            ).rowcount

    def end_sweep(self, worker: str) -> None:
        with self._database.transaction() as database:
            ended = database.execute(
                "UPDATE job SET filled = 1, sweeper = NULL WHERE sweeper = ?",
                (_number(database, worker),),
            )
            if ended.rowcount > 0:
                database.execute(f"DELETE FROM queue WHERE state = {_STALE}")

    def lease(
        self, n: int, worker: str, seconds: float, upgrade_id: str | None = None
    ) -> list[Leased]:
        with self._database.transaction() as database:
            number = self._join(database, worker, seconds)
            ready = (
                "SELECT 1 FROM job WHERE filled AND state = ? AND upgrade = COALESCE(?, upgrade)"
            )
            running = (JobState.RUNNING.value, upgrade_id)
            if database.execute(ready, running).fetchone() is None:
                return []
            rows = database.execute(
                f"SELECT item, reason IS NOT NULL FROM queue WHERE state = {_PENDING} "
                "ORDER BY priority DESC, key, item LIMIT ?",
                (n,),
            ).fetchall()
            database.executemany(
                f"UPDATE queue SET state = {_LEASED}, worker = ? WHERE item = ?",
                [(number, item) for item, _ in rows],
            )
        return [Leased(item, bool(failed_before)) for item, failed_before in rows]

    def settle(self, worker: str, settled: Settled, seconds: float = 0.0) -> None:
        with self._database.transaction() as database:
            if (number := _number(database, worker)) is None:
                return
            done = _strike_leased(database, number, settled.done)
            _strike_leased(database, number, settled.gone)
            _release(database, number, _STALE, settled.stale)
            _release(database, number, _PENDING, settled.back)
            database.executemany(
                f"UPDATE queue SET state = {_PARKED}, worker = NULL, version = ?, reason = ? "
                f"WHERE item = ? AND state = {_LEASED} AND worker = ?",
                [(one.version, one.reason, one.id, number) for one in settled.parked],
            )
            database.execute("UPDATE job SET done = done + ?", (done,))
            if seconds:
                _keep_time(database, TimedBatch(done, self._clock(), seconds))

    def prioritise(self, priorities: Mapping[Id, int]) -> int:
        with self._database.transaction() as database:
            return database.executemany(
                "UPDATE queue SET priority = ? "
                f"WHERE item = ? AND state = {_PENDING} AND priority < ?",
                [(priority, id, priority) for id, priority in priorities.items()],
            ).rowcount

    def parked(self, n: int, after: Id | None = None) -> list[ParkedItem]:
        # Text is greater than any integer, and null is smaller.
        behind = "" if after is None else "AND item > ?"
        rows = self._database.rows(
            f"SELECT item, reason FROM queue WHERE state = {_PARKED} {behind} "
            "ORDER BY item LIMIT ?",
            *([] if after is None else [after]),
            n,
        )
        return [ParkedItem(item, reason) for item, reason in rows]

    def unpark(self) -> int:
        with self._database.transaction() as database:
            return database.execute(
                f"UPDATE queue SET state = {_PENDING}, priority = {REPEATED} "
                f"WHERE state = {_PARKED}"
            ).rowcount

    def strike(self, ids: Iterable[Id]) -> None:
        with self._database.transaction() as database:
            database.executemany(
                f"DELETE FROM queue WHERE item = ? AND state = {_PARKED}", [(id,) for id in ids]
            )

    def counts(self) -> QueueCounts:
        counted = ", ".join(
            f"(SELECT COUNT(*) FROM queue WHERE state = {state})"
            for state in (_PENDING, _STALE, _LEASED, _PARKED)
        )
        ((done, pending, stale, leased, parked),) = self._database.rows(
            f"SELECT COALESCE((SELECT done FROM job), 0), {counted}"
        )
        return QueueCounts(done, pending + stale, leased, parked)

    def rate(self) -> float | None:
        rows = self._database.rows("SELECT items, ended, seconds FROM batches")
        return joint_rate(TimedBatch(*row) for row in rows)

    def close(self) -> None:
        self._database.close()

    def _join(self, database: sqlite3.Connection, worker: str, seconds: float) -> int:
        self._bury_the_dead(database)
        alone = database.execute("SELECT name FROM workers WHERE alone AND name <> ?", (worker,))
        if (other := alone.fetchone()) is not None:
            raise locked_by(other[0])
        return self._renew(database, worker, seconds, alone=False)

    def _renew(
        self, database: sqlite3.Connection, worker: str, seconds: float, *, alone: bool
    ) -> int:
        now = self._clock()
        ((number,),) = database.execute(
            "INSERT INTO workers (name, alone, renewed, until) VALUES (?, ?, ?, ?) "
            "ON CONFLICT (name) DO UPDATE SET alone = excluded.alone, "
            "renewed = excluded.renewed, until = excluded.until RETURNING number",
            (worker, alone, now, now + seconds),
        ).fetchall()
        return int(number)

    def _bury_the_dead(self, database: sqlite3.Connection) -> None:
        now = self._clock()
        dead = database.execute(
            "SELECT number FROM workers WHERE until < ? OR renewed > ?",
            (now, now + CLOCK_SLACK_SECONDS),
        ).fetchall()
        for (number,) in dead:
            _bury(database, number)


def _forget_job(database: sqlite3.Connection) -> None:
    for table in _JOB_TABLES:
        database.execute(f"DELETE FROM {table}")


def _set_state(database: sqlite3.Connection, state: JobState, last_error: str | None) -> None:
    database.execute("UPDATE job SET state = ?, last_error = ?", (state.value, last_error))


def _may_pause(database: sqlite3.Connection) -> bool:
    """Whether nobody is at work, and the job is not at its end."""
    return bool(
        database.execute(
            "SELECT 1 FROM job WHERE state IN (?, ?) AND NOT EXISTS (SELECT 1 FROM workers)",
            (JobState.RUNNING.value, JobState.PAUSED.value),
        ).fetchone()
    )


def _number(database: sqlite3.Connection, worker: str) -> int | None:
    rows = database.execute("SELECT number FROM workers WHERE name = ?", (worker,)).fetchall()
    return int(rows[0][0]) if rows else None


def _bury(database: sqlite3.Connection, number: int) -> None:
    """Give back what a worker held, and forget it."""
    database.execute(
        f"UPDATE queue SET state = {_PENDING}, worker = NULL "
        f"WHERE state = {_LEASED} AND worker = ?",
        (number,),
    )
    database.execute("UPDATE job SET sweeper = NULL WHERE sweeper = ?", (number,))
    database.execute("DELETE FROM workers WHERE number = ?", (number,))


def _strike_leased(database: sqlite3.Connection, number: int, ids: Sequence[Id]) -> int:
    return database.executemany(
        f"DELETE FROM queue WHERE item = ? AND state = {_LEASED} AND worker = ?",
        [(id, number) for id in ids],
    ).rowcount


def _release(database: sqlite3.Connection, number: int, state: int, ids: Sequence[Id]) -> None:
    database.executemany(
        f"UPDATE queue SET state = {state}, worker = NULL "
        f"WHERE item = ? AND state = {_LEASED} AND worker = ?",
        [(id, number) for id in ids],
    )


def _keep_time(database: sqlite3.Connection, batch: TimedBatch) -> None:
    database.execute(
        "INSERT INTO batches (items, ended, seconds) VALUES (?, ?, ?)",
        (batch.items, batch.ended, batch.seconds),
    )
    database.execute(
        "DELETE FROM batches WHERE number <= (SELECT MAX(number) FROM batches) - ?",
        (BATCHES_KEPT,),
    )
