"""The queue of a job in PostgreSQL: which items wait, are at work, or are parked."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from contextlib import suppress

from psycopg import sql
from psycopg.errors import UniqueViolation

from crossfade.backfill.journal.base import (
    BATCHES_KEPT,
    REPEATED,
    Entry,
    Leased,
    Page,
    QueueCounts,
    Settled,
    TimedBatch,
    joint_rate,
)
from crossfade.backfill.journal.postgres_tables import LEASED, NOW, PARKED, PENDING, STALE, Tables
from crossfade.backfill.journal.postgres_workers import Workers
from crossfade.backfill.status import JobState, ParkedItem
from crossfade.orders.random_keys import RANDOM_KEY_SQL, seed_bytes
from crossfade.stores import Id
from crossfade.stores.pgvector import binary
from crossfade.stores.pgvector.catalog import Catalog, named
from crossfade.stores.pgvector.connections import Connection, Rows
from crossfade.stores.pgvector.layout import Layout
from crossfade.stores.pgvector.text import escape, id_of, key_of, unescape

__all__ = ["Queue"]

_BYTES, _TEXT = 17, 25
"""The numbers of the types bytea and text."""
_PAGE_ROWS = 16_384
_ONCE_MORE = (
    f"ON CONFLICT (item) DO UPDATE SET state = {PENDING}, priority = {REPEATED}, "
    "key = excluded.key, version = excluded.version, reason = NULL "
    f"WHERE q.state = {STALE} OR q.state = {PARKED} AND q.version <> excluded.version"
)
_QUEUE_PAGE = (
    "WITH page AS MATERIALIZED (SELECT {key} AS item, {version} AS version FROM {table} "
    "WHERE {column} IS NULL AND {key} > %s ORDER BY {key} LIMIT %s), "
    "queued AS (INSERT INTO {queue} AS q (item, key, version) "
    f"SELECT item, {RANDOM_KEY_SQL.format(item='item')}, version FROM page "
    "{once_more} RETURNING 1) "
    "SELECT (SELECT item FROM page ORDER BY item DESC LIMIT 1), (SELECT count(*) FROM queued)"
)


class Queue:
    """The tables of items and of timed batches; each method as :class:`Journal` has it.

    Args:
        catalog, layout: of the collection, whose own table is read to queue it at random.
    """

    def __init__(self, tables: Tables, workers: Workers, catalog: Catalog, layout: Layout) -> None:
        self._tables = tables
        self._workers = workers
        self._catalog = catalog
        self._layout = layout

    def enqueue(self, entries: Sequence[Entry]) -> int:
        # In the order of keys, so that two who queue the same items don't wait for each other.
        ordered = sorted(((key_of(one.id), one) for one in entries), key=lambda pair: pair[0])
        given = [
            binary.array_of([key for key, _ in ordered], _BYTES),
            binary.array_of_floats([entry.key for _, entry in ordered]),
            binary.array_of_integers([entry.version for _, entry in ordered]),
        ]
        statement = (
            "INSERT INTO {queue} AS q (item, key, version) "
            f"SELECT * FROM unnest(%s::bytea[], %s::float8[], %s::bigint[]) {_ONCE_MORE}"
        )
        return self._tables.together(
            lambda connection: self._tables.execute(connection, statement, *given).rowcount
        )

    @property
    def can_enqueue_at_random(self) -> bool:
        return self._layout.has_plain_keys

    def enqueue_at_random(self, space: str, seed: int, after: Id | None = None) -> Page:
        column = self._catalog.column(space)
        fresh, careful = (
            sql.SQL(_QUEUE_PAGE).format(
                key=self._layout.key,
                version=self._layout.version,
                table=self._layout.table,
                column=named(column.column),
                queue=self._tables.name("queue"),
                once_more=once_more,
            )
            for once_more in (sql.SQL(""), sql.SQL(_ONCE_MORE))
        )
        start = b"" if after is None else key_of(after)
        given = (start, _PAGE_ROWS, seed_bytes(seed))

        def work(connection: Connection) -> Rows:
            # Looking for each item first costs a third more, and a first sweep meets none.
            behind = "SELECT 1 FROM {queue} WHERE item > %s LIMIT 1"
            if self._tables.execute(connection, behind, start).fetchone() is None:
                connection.execute("SAVEPOINT fresh")
                with suppress(UniqueViolation):  # another sweeps too, whose lease is over
                    return connection.execute(fresh, given).fetchall()
                connection.execute("ROLLBACK TO fresh")
            return connection.execute(careful, given).fetchall()

        ((last, queued),) = self._tables.together(work)
        return Page(None if last is None else id_of(last), queued)

    def put_in_order(self) -> None:
        """Make the index that leases read, if it is not there; for a queue that was filled.

        A role that does not own the queue leaves it to others: leases then sort.
        """
        statement = "CREATE INDEX IF NOT EXISTS {new_order} ON {queue} (priority DESC, key, item)"

        def work(connection: Connection) -> None:
            # One at a time: two that make it at once would not see each other's.
            self._wait_turn(connection, 1)
            if not self._is_there(connection, "order") and self._owns_queue(connection):
                self._tables.execute(connection, statement)

        self._tables.beside(work)

    def forget_order(self, connection: Connection) -> None:
        """Drop that index: the next queue is filled without."""
        if self._is_there(connection, "order") and self._owns_queue(connection):
            self._tables.execute(connection, "DROP INDEX IF EXISTS {order}")

    def _wait_turn(self, connection: Connection, kind: int) -> None:
        """Wait until nobody else does this kind of thing to the queue; to the transaction's end."""
        queue = self._tables.name("queue").as_string()
        turn = "SELECT pg_advisory_xact_lock(hashtextextended(%s, %s))"
        self._tables.execute(connection, turn, queue, kind)

    def _is_there(self, connection: Connection, name: str) -> bool:
        found = self._tables.execute(
            connection, "SELECT to_regclass(%s)", self._tables.name(name).as_string()
        )
        return found.fetchone() != (None,)

    def _owns_queue(self, connection: Connection) -> bool:
        found = self._tables.execute(
            connection,
            "SELECT pg_has_role(relowner, 'USAGE') FROM pg_class WHERE oid = to_regclass(%s)",
            self._tables.name("queue").as_string(),
        )
        return found.fetchone() == (True,)

    def forget_stale(self, connection: Connection) -> None:
        """Forget stale items that the sweep, now over, did not find again: moved, or gone."""
        self._tables.execute(connection, f"DELETE FROM {{queue}} WHERE state = {STALE}")

    def lease(self, n: int, worker: str, seconds: float, upgrade_id: str | None) -> list[Leased]:
        def work(connection: Connection) -> Rows:
            number = self._workers.join(connection, worker, seconds)
            ready = (
                "SELECT 1 FROM {job} WHERE filled AND state = %s "
                "AND upgrade = coalesce(%s::text, upgrade)"
            )
            running = (JobState.RUNNING.value, upgrade_id)
            if self._tables.execute(connection, ready, *running).fetchone() is None:
                return []
            # One after the other: two that read the same rows would find the second's all taken.
            # To lock each row instead costs as much again as to lease it.
            self._wait_turn(connection, 2)
            return self._tables.execute(
                connection,
                # A row that is moved to the front meanwhile is another one then, and left alone.
                f"WITH first AS MATERIALIZED (SELECT ctid FROM {{queue}} WHERE state = {PENDING} "
                "ORDER BY priority DESC, key, item LIMIT %s) "
                f"UPDATE {{queue}} q SET state = {LEASED}, worker = %s FROM first "
                "WHERE q.ctid = first.ctid "
                "RETURNING -q.priority, q.key, q.item, q.reason IS NOT NULL",
                *(n, number),
            ).fetchall()

        rows = sorted(self._tables.together(work))
        return [Leased(id_of(key), failed_before) for _, _, key, failed_before in rows]

    def settle(self, worker: str, settled: Settled, seconds: float = 0.0) -> None:
        def work(connection: Connection) -> None:
            find = "SELECT number FROM {workers} WHERE name = %s"
            if (row := self._tables.execute(connection, find, worker).fetchone()) is None:
                return
            done = self._strike_leased(connection, row[0], settled.done)
            self._strike_leased(connection, row[0], settled.gone)
            self._release(connection, row[0], STALE, settled.stale)
            self._release(connection, row[0], PENDING, settled.back)
            self._park(connection, row[0], settled)
            if done:
                self._tables.execute(connection, "UPDATE {job} SET done = done + %s", done)
            if seconds:
                self._keep_time(connection, done, seconds)

        self._tables.together(work)

    def prioritise(self, priorities: Mapping[Id, int]) -> int:
        statement = (
            "UPDATE {queue} q SET priority = p.priority "
            "FROM unnest(%s::bytea[], %s::bigint[]) AS p (item, priority) "
            f"WHERE q.item = p.item AND state = {PENDING} AND q.priority < p.priority"
        )
        ordered = sorted((key_of(id), priority) for id, priority in priorities.items())
        given = (
            binary.array_of([key for key, _ in ordered], _BYTES),
            binary.array_of_integers([priority for _, priority in ordered]),
        )
        # Holding nothing that heartbeats wait for: it may itself wait for an index that is made.
        return self._tables.beside(
            lambda connection: self._tables.execute(connection, statement, *given).rowcount
        )

    def parked(self, n: int, after: Id | None = None) -> list[ParkedItem]:
        start = b"" if after is None else key_of(after)
        rows = self._tables.rows(
            f"SELECT item, reason FROM {{queue}} WHERE state = {PARKED} AND item > %s "
            "ORDER BY item LIMIT %s",
            *(start, n),
        )
        return [ParkedItem(id_of(key), unescape(reason)) for key, reason in rows]

    def unpark(self) -> int:
        statement = (
            f"UPDATE {{queue}} SET state = {PENDING}, priority = {REPEATED} WHERE state = {PARKED}"
        )
        return self._tables.together(
            lambda connection: self._tables.execute(connection, statement).rowcount
        )

    def strike(self, ids: Iterable[Id]) -> None:
        statement = f"DELETE FROM {{queue}} WHERE item = ANY(%s::bytea[]) AND state = {PARKED}"
        keys = _keys(ids)
        self._tables.together(lambda connection: self._tables.execute(connection, statement, keys))

    def counts(self) -> QueueCounts:
        counted = ", ".join(
            f"count(*) FILTER (WHERE state = {state})" for state in (PENDING, STALE, LEASED, PARKED)
        )
        ((done, pending, stale, leased, parked),) = self._tables.rows(
            f"SELECT coalesce((SELECT done FROM {{job}}), 0), {counted} FROM {{queue}}"
        )
        return QueueCounts(done, pending + stale, leased, parked)

    def rate(self) -> float | None:
        rows = self._tables.rows("SELECT items, ended, seconds FROM {batches}")
        return joint_rate(TimedBatch(*row) for row in rows)

    def _strike_leased(self, connection: Connection, number: int, ids: Sequence[Id]) -> int:
        if not ids:
            return 0
        struck = self._tables.execute(
            connection,
            "DELETE FROM {queue} WHERE item = ANY(%s::bytea[]) "
            f"AND state = {LEASED} AND worker = %s",
            *(_keys(ids), number),
        )
        return struck.rowcount

    def _release(self, connection: Connection, number: int, state: int, ids: Sequence[Id]) -> None:
        if ids:
            self._tables.execute(
                connection,
                f"UPDATE {{queue}} SET state = {state}, worker = NULL "
                f"WHERE item = ANY(%s::bytea[]) AND state = {LEASED} AND worker = %s",
                *(_keys(ids), number),
            )

    def _park(self, connection: Connection, number: int, settled: Settled) -> None:
        if settled.parked:
            self._tables.execute(
                connection,
                f"UPDATE {{queue}} q SET state = {PARKED}, worker = NULL, version = p.version, "
                "reason = p.reason "
                "FROM unnest(%s::bytea[], %s::bigint[], %s::text[]) AS p (item, version, reason) "
                f"WHERE q.item = p.item AND state = {LEASED} AND worker = %s",
                binary.array_of([key_of(one.id) for one in settled.parked], _BYTES),
                binary.array_of_integers([one.version for one in settled.parked]),
                binary.array_of([escape(one.reason).encode() for one in settled.parked], _TEXT),
                number,
            )

    def _keep_time(self, connection: Connection, items: int, seconds: float) -> None:
        self._tables.execute(
            connection,
            f"INSERT INTO {{batches}} (items, ended, seconds) VALUES (%s, {NOW}, %s)",
            *(items, seconds),
        )
        self._tables.execute(
            connection,
            "DELETE FROM {batches} WHERE number <= (SELECT max(number) FROM {batches}) - %s",
            BATCHES_KEPT,
        )


def _keys(ids: Iterable[Id]) -> binary.Raw:
    return binary.array_of(sorted({key_of(id) for id in ids}), _BYTES)
