"""The journal in the user's PostgreSQL, beside the collection: tables of its schema.

Workers of any machine share it. Each takes what it leases with ``FOR UPDATE SKIP LOCKED``, so
none waits for another; what changes who may lease at all, such as a pause or a job that must be
alone, waits until no lease is under way, and the other way round. The clock is the server's.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence

from crossfade.backfill.journal.base import (
    Entry,
    JobRow,
    Journal,
    Leased,
    Page,
    QueueCounts,
    Settled,
    locked_by,
)
from crossfade.backfill.journal.postgres_queue import Queue
from crossfade.backfill.journal.postgres_tables import NOW, Tables
from crossfade.backfill.journal.postgres_workers import Workers
from crossfade.backfill.status import JobState, ParkedItem
from crossfade.errors import StoreError
from crossfade.stores import Id, Store
from crossfade.stores.pgvector.catalog import Catalog
from crossfade.stores.pgvector.connections import Connection, Connections, Rows
from crossfade.stores.pgvector.layout import Layout
from crossfade.stores.pgvector.store import PgvectorStore
from crossfade.stores.pgvector.text import escape, unescape

__all__ = ["PostgresJournal", "open_journal"]

_READ_JOB = "SELECT upgrade, ordering, seed, state, last_error, filled FROM {job}"


def open_journal(store: Store) -> PostgresJournal:
    """The journal of an open store.

    Raises:
        StoreError: it is a store of another kind.
    """
    if not isinstance(store, PgvectorStore):
        raise StoreError(f"{store!r} has no journal in PostgreSQL")
    return PostgresJournal(store.connections, store.catalog, store.layout)


class PostgresJournal(Journal):
    """Tables beside the collection's; created if they are not there.

    Args:
        connections: the store's own; they are closed with it.
    """

    def __init__(self, connections: Connections, catalog: Catalog, layout: Layout) -> None:
        self._tables = Tables(connections, catalog)
        self._workers = Workers(self._tables)
        self._queue = Queue(self._tables, self._workers, catalog, layout)

    # The job

    def job(self) -> JobRow | None:
        return _job(self._tables.rows(_READ_JOB))

    def begin(self, job: JobRow) -> JobRow:
        def work(connection: Connection) -> JobRow:
            present = _job(self._tables.execute(connection, _READ_JOB).fetchall())
            if present is not None and present.upgrade_id == job.upgrade_id:
                return present
            self._forget_job(connection)
            self._tables.execute(
                connection,
                "INSERT INTO {job} (number, upgrade, ordering, seed, state, last_error) "
                "VALUES (1, %s, %s, %s, %s, %s)",
                *(job.upgrade_id, escape(job.order), job.seed, job.state.value),
                _escaped(job.last_error),
            )
            return job

        return self._tables.alone(work)

    def set_state(self, state: JobState, last_error: str | None = None) -> None:
        self._tables.alone(lambda connection: self._set_state(connection, state, last_error))

    def pause(self) -> bool:
        states = (JobState.PAUSED.value, JobState.RUNNING.value)
        statement = "UPDATE {job} SET state = %s WHERE state = %s"
        return self._tables.alone(
            lambda connection: self._tables.execute(connection, statement, *states).rowcount > 0
        )

    def clear(self) -> None:
        self._tables.alone(self._forget_job)

    # Its workers

    def join(self, worker: str, seconds: float) -> None:
        self._tables.together(lambda connection: self._workers.join(connection, worker, seconds))

    def join_alone(self, worker: str, seconds: float) -> None:
        def work(connection: Connection) -> None:
            self._workers.bury_the_dead(connection)
            others = "SELECT name FROM {workers} WHERE name <> %s LIMIT 1"
            if (other := self._tables.execute(connection, others, worker).fetchone()) is not None:
                raise locked_by(other[0])
            self._workers.renew(connection, worker, seconds, alone=True)

        self._tables.alone(work)

    def renew(self, worker: str, seconds: float) -> bool:
        def work(connection: Connection) -> bool:
            self._workers.bury_the_dead(connection)
            renewed = self._tables.execute(
                connection,
                f"UPDATE {{workers}} SET renewed = {NOW}, until = {NOW} + %s WHERE name = %s",
                *(seconds, worker),
            )
            return renewed.rowcount > 0

        return self._tables.together(work)

    def leave(
        self, worker: str, state: JobState | None = None, last_error: str | None = None
    ) -> None:
        def work(connection: Connection) -> None:
            self._workers.bury_the_dead(connection)
            self._workers.bury(connection, "name = %s", worker)
            if state is not None and (state is not JobState.PAUSED or self._may_pause(connection)):
                self._set_state(connection, state, last_error)
            elif last_error is not None:
                record = "UPDATE {job} SET last_error = %s"
                self._tables.execute(connection, record, _escaped(last_error))

        self._tables.alone(work)

    def evict(self) -> None:
        self._tables.alone(lambda connection: self._workers.bury(connection, "true"))

    def workers(self) -> list[str]:
        def work(connection: Connection) -> list[str]:
            self._workers.bury_the_dead(connection)
            rows = self._tables.execute(
                connection, 'SELECT name FROM {workers} ORDER BY name COLLATE "C"'
            )
            return [name for (name,) in rows]

        return self._tables.together(work)

    # Its queue

    def begin_sweep(self, worker: str) -> bool:
        def work(connection: Connection) -> bool:
            self._workers.bury_the_dead(connection)
            swept = self._tables.execute(
                connection,
                "UPDATE {job} SET sweeper = w.number FROM {workers} w "
                "WHERE w.name = %s AND coalesce(sweeper, w.number) = w.number",
                worker,
            )
            return swept.rowcount > 0

        return self._tables.alone(work)

    def enqueue(self, entries: Sequence[Entry]) -> int:
        return self._queue.enqueue(entries)

    @property
    def can_enqueue_at_random(self) -> bool:
        return self._queue.can_enqueue_at_random

    def enqueue_at_random(self, space: str, seed: int, after: Id | None = None) -> Page:
        return self._queue.enqueue_at_random(space, seed, after)

    def end_sweep(self, worker: str) -> None:
        # Not inside: while an index is made, which takes a second a million items, workers must be
        # able to say that they live.
        self._queue.put_in_order()

        def work(connection: Connection) -> None:
            ended = self._tables.execute(
                connection,
                "UPDATE {job} SET filled = true, sweeper = NULL "
                "WHERE sweeper = (SELECT number FROM {workers} WHERE name = %s)",
                worker,
            )
            if ended.rowcount > 0:
                self._queue.forget_stale(connection)

        self._tables.alone(work)

    def lease(
        self, n: int, worker: str, seconds: float, upgrade_id: str | None = None
    ) -> list[Leased]:
        return self._queue.lease(n, worker, seconds, upgrade_id)

    def settle(self, worker: str, settled: Settled, seconds: float = 0.0) -> None:
        self._queue.settle(worker, settled, seconds)

    def prioritise(self, priorities: Mapping[Id, int]) -> int:
        return self._queue.prioritise(priorities)

    def parked(self, n: int, after: Id | None = None) -> list[ParkedItem]:
        return self._queue.parked(n, after)

    def unpark(self) -> int:
        return self._queue.unpark()

    def strike(self, ids: Iterable[Id]) -> None:
        self._queue.strike(ids)

    def counts(self) -> QueueCounts:
        return self._queue.counts()

    def rate(self) -> float | None:
        return self._queue.rate()

    def close(self) -> None:
        """The connections are the store's."""

    def _forget_job(self, connection: Connection) -> None:
        self._tables.execute(connection, "TRUNCATE {job}, {queue}, {batches}")
        self._queue.forget_order(connection)

    def _set_state(self, connection: Connection, state: JobState, last_error: str | None) -> None:
        statement = "UPDATE {job} SET state = %s, last_error = %s"
        self._tables.execute(connection, statement, state.value, _escaped(last_error))

    def _may_pause(self, connection: Connection) -> bool:
        """Whether nobody is at work, and the job is not at its end."""
        found = self._tables.execute(
            connection,
            "SELECT 1 FROM {job} WHERE state IN (%s, %s) AND NOT EXISTS (SELECT 1 FROM {workers})",
            *(JobState.RUNNING.value, JobState.PAUSED.value),
        )
        return found.fetchone() is not None


def _job(rows: Rows) -> JobRow | None:
    if not rows:
        return None
    upgrade_id, order, seed, state, last_error, filled = rows[0]
    error = None if last_error is None else unescape(last_error)
    return JobRow(upgrade_id, unescape(order), seed, JobState(state), error, filled)


def _escaped(text: str | None) -> str | None:
    return None if text is None else escape(text)
