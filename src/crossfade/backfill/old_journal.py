"""The job's durable memory: a queue with explicit positions, beside the store.

Progress is read from here by anyone, never from the worker. For a store with a folder the
journal is ``journal.sqlite3`` in it; otherwise it lives in memory, as the store does.
"""

from __future__ import annotations

import json
import sqlite3
import threading
import time
from collections.abc import Iterable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from typing import Any
from weakref import WeakKeyDictionary

from crossfade.backfill.status import JobState, ParkedItem
from crossfade.errors import StoreError
from crossfade.stores import Id, Item, Store

__all__ = ["JobRow", "Journal", "Settled", "open_journal"]

_FORMAT = 1
_BATCHES_KEPT = 20
_SCHEMA = """
CREATE TABLE IF NOT EXISTS job (
    number INTEGER PRIMARY KEY CHECK (number = 1),
    upgrade TEXT NOT NULL,
    ordering TEXT NOT NULL,
    seed INTEGER NOT NULL,
    state TEXT NOT NULL,
    created REAL NOT NULL,
    last_error TEXT
);
CREATE TABLE IF NOT EXISTS queue (
    position INTEGER PRIMARY KEY,
    item TEXT NOT NULL UNIQUE,
    priority INTEGER NOT NULL DEFAULT 0,
    state TEXT NOT NULL DEFAULT 'pending',
    version INTEGER,
    reason TEXT
);
CREATE INDEX IF NOT EXISTS next_items ON queue (state, priority DESC, position);
CREATE TABLE IF NOT EXISTS batches (
    number INTEGER PRIMARY KEY AUTOINCREMENT,
    items INTEGER NOT NULL,
    seconds REAL NOT NULL
);
"""

_JOURNALS: WeakKeyDictionary[Store, Journal] = WeakKeyDictionary()
_JOURNALS_LOCK = threading.Lock()


def open_journal(store: Store) -> Journal:
    """The journal that belongs to an open store.

    Raises:
        StoreError: it can't be read.
    """
    with _JOURNALS_LOCK:
        if store not in _JOURNALS:
            folder = store.folder
            path = ":memory:" if folder is None else str(folder / "journal.sqlite3")
            _JOURNALS[store] = Journal(path)
        return _JOURNALS[store]


@dataclass(frozen=True)
class JobRow:
    """What is fixed about a job, and its state."""

    upgrade_id: str
    order: str
    seed: int
    state: JobState
    last_error: str | None


@dataclass(frozen=True)
class Parking:
    """An item to be parked, the version that the encoder failed on, and why it failed."""

    id: Id
    version: int
    reason: str


@dataclass(frozen=True)
class QueueCounts:
    """Items of the queue by state."""

    done: int
    pending: int
    parked: int


@dataclass(frozen=True, eq=False)
class Settled:
    """What became of a batch of items.

    Attributes:
        done: they hold their new vector, durably.
        stale: rewritten while they were encoded; to be taken again.
        gone: deleted.
        parked: the encoder failed on them.
    """

    done: Sequence[Id] = ()
    stale: Sequence[Id] = ()
    gone: Sequence[Id] = ()
    parked: Sequence[Parking] = ()

    def __len__(self) -> int:
        return len(self.done) + len(self.stale) + len(self.gone) + len(self.parked)

    def __add__(self, other: Settled) -> Settled:
        return Settled(
            [*self.done, *other.done],
            [*self.stale, *other.stale],
            [*self.gone, *other.gone],
            [*self.parked, *other.parked],
        )


class Journal:
    """One job and its queue. Every method is one transaction."""

    def __init__(self, path: str) -> None:
        self._path = path
        self._mutex = threading.Lock()
        try:
            self._database = sqlite3.connect(path, check_same_thread=False, isolation_level=None)
            self._database.execute("PRAGMA journal_mode = WAL")
            self._database.execute("PRAGMA synchronous = FULL")
            self._check_format()
            self._database.executescript(_SCHEMA)
        except sqlite3.Error as error:
            raise StoreError(
                f"the journal {path} can't be read ({error}); remove it, and the next run makes "
                "a new one from what the gallery lacks"
            ) from error

    def job(self) -> JobRow | None:
        """The job, or None before the first run."""
        rows = self._rows("SELECT upgrade, ordering, seed, state, last_error FROM job")
        if not rows:
            return None
        upgrade_id, order, seed, state, last_error = rows[0]
        return JobRow(upgrade_id, order, seed, JobState(state), last_error)

    def begin(self, job: JobRow, ids: Sequence[Id]) -> None:
        """Write a job and its whole queue, in place of any earlier one."""
        with self._transaction() as database:
            self._clear(database)
            database.execute(
                "INSERT INTO job VALUES (1, ?, ?, ?, ?, ?, NULL)",
                (job.upgrade_id, job.order, job.seed, job.state.value, time.time()),
            )
            database.executemany(
                "INSERT INTO queue (position, item) VALUES (?, ?)",
                ((position, _text(id)) for position, id in enumerate(ids)),
            )

    def clear(self) -> None:
        """Forget the job."""
        with self._transaction() as database:
            self._clear(database)

    def set_state(self, state: JobState, last_error: str | None = None) -> None:
        """Record where the job stands."""
        self._rows("UPDATE job SET state = ?, last_error = ?", state.value, last_error)

    def pause(self) -> None:
        """Ask a running job to stop after its batch."""
        self._rows(
            "UPDATE job SET state = ? WHERE state = ?",
            JobState.PAUSED.value,
            JobState.RUNNING.value,
        )

    def take(self, n: int) -> list[Id]:
        """The next n pending ids. They stay pending until they are settled."""
        rows = self._rows(
            "SELECT item FROM queue WHERE state = 'pending' "
            "ORDER BY priority DESC, position LIMIT ?",
            n,
        )
        return [json.loads(item) for (item,) in rows]

    def settle(self, batch: Settled, seconds: float = 0.0) -> None:
        """Record what became of a batch and how long it took; 0 leaves the rate as it is."""
        with self._transaction() as database:
            _mark(database, "done", batch.done)
            _mark(database, "stale", batch.stale)
            database.executemany(
                "DELETE FROM queue WHERE item = ?", [(_text(id),) for id in batch.gone]
            )
            database.executemany(
                "UPDATE queue SET state = 'parked', version = ?, reason = ? WHERE item = ?",
                [(one.version, one.reason, _text(one.id)) for one in batch.parked],
            )
            if seconds:
                _keep_time(database, len(batch.done), seconds)

    def enqueue(self, items: Iterable[Item]) -> int:
        """Queue items that lack their new vector, behind all others; returns how many.

        Left out are those that wait already, and those parked whose content is still the one
        that the encoder failed on.
        """
        with self._transaction() as database:
            return sum(_enqueue(database, item) for item in items)

    def unpark(self) -> int:
        """Make all parked items pending again; returns how many there were."""
        with self._transaction() as database:
            return database.execute(
                "UPDATE queue SET state = 'pending', reason = NULL WHERE state = 'parked'"
            ).rowcount

    def counts(self) -> QueueCounts:
        """Items of the queue by state; stale ones are pending."""
        by_state = dict(self._rows("SELECT state, COUNT(*) FROM queue GROUP BY state"))
        pending = by_state.get("pending", 0) + by_state.get("stale", 0)
        return QueueCounts(by_state.get("done", 0), pending, by_state.get("parked", 0))

    def parked(self) -> list[ParkedItem]:
        """The parked items and why they are."""
        rows = self._rows("SELECT item, reason FROM queue WHERE state = 'parked' ORDER BY position")
        return [ParkedItem(json.loads(item), reason) for item, reason in rows]

    def rate(self) -> float | None:
        """Items per second over the last batches; None before the first."""
        ((items, seconds),) = self._rows("SELECT SUM(items), SUM(seconds) FROM batches")
        return items / seconds if items and seconds else None

    def close(self) -> None:
        """Close the file."""
        with self._mutex:
            self._database.close()

    def __del__(self) -> None:
        if hasattr(self, "_database"):
            self._database.close()

    def _check_format(self) -> None:
        (form,) = self._database.execute("PRAGMA user_version").fetchone()
        if form not in (0, _FORMAT):
            raise StoreError(
                f"the journal {self._path} has format {form}, this release reads {_FORMAT}; "
                "install the release that wrote it"
            )
        self._database.execute(f"PRAGMA user_version = {_FORMAT}")

    def _clear(self, database: sqlite3.Connection) -> None:
        for table in ("job", "queue", "batches"):
            database.execute(f"DELETE FROM {table}")

    def _rows(self, statement: str, *values: Any) -> list[tuple[Any, ...]]:
        with self._mutex, self._translated():
            return self._database.execute(statement, values).fetchall()

    @contextmanager
    def _transaction(self) -> Iterator[sqlite3.Connection]:
        with self._mutex, self._translated():
            self._database.execute("BEGIN IMMEDIATE")
            try:
                yield self._database
            except BaseException:
                self._database.execute("ROLLBACK")
                raise
            self._database.execute("COMMIT")

    @contextmanager
    def _translated(self) -> Iterator[None]:
        try:
            yield
        except sqlite3.Error as error:
            raise StoreError(f"the journal {self._path} failed: {error}") from error


def _text(id: Id) -> str:
    """An id as a key: 5 and "5" are two items."""
    return json.dumps(id)


def _mark(database: sqlite3.Connection, state: str, ids: Iterable[Id]) -> None:
    database.executemany(
        "UPDATE queue SET state = ? WHERE item = ?", [(state, _text(id)) for id in ids]
    )


def _keep_time(database: sqlite3.Connection, items: int, seconds: float) -> None:
    database.execute("INSERT INTO batches (items, seconds) VALUES (?, ?)", (items, seconds))
    database.execute(
        "DELETE FROM batches WHERE number <= (SELECT MAX(number) FROM batches) - ?",
        (_BATCHES_KEPT,),
    )


def _enqueue(database: sqlite3.Connection, item: Item) -> int:
    changed = database.execute(
        "UPDATE queue SET state = 'pending', reason = NULL, "
        "position = (SELECT MAX(position) + 1 FROM queue) "
        "WHERE item = ? AND (state IN ('done', 'stale') OR state = 'parked' AND version <> ?)",
        (_text(item.id), item.version),
    ).rowcount
    if changed:
        return 1
    return database.execute(
        "INSERT OR IGNORE INTO queue (position, item) "
        "SELECT COALESCE(MAX(position) + 1, 0), ? FROM queue",
        (_text(item.id),),
    ).rowcount
