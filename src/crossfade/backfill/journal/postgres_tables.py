"""The tables of a journal in PostgreSQL, and its transactions."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, LiteralString, TypeAlias, TypeVar

from psycopg import Cursor, sql

from crossfade.stores.pgvector.catalog import Catalog
from crossfade.stores.pgvector.connections import Connection, Connections, Rows

__all__ = ["LEASED", "NOW", "PARKED", "PENDING", "STALE", "Tables"]

_Result = TypeVar("_Result")
Row: TypeAlias = tuple[Any, ...]

PENDING, LEASED, STALE, PARKED = range(4)
"""States of an item."""
NOW = "extract(epoch FROM clock_timestamp())::float8"
"""The server's clock, for statements."""
# No index knows the state of an item, and pages are half empty: so to lease an item, or to give
# it back, is to write its row alone. Those leased are few, and stepped over. The index of the order
# is made once the queue is filled: for each item on its own it would cost four times as much.
_TABLES = f"""
CREATE TABLE IF NOT EXISTS {{job}} (
    number integer PRIMARY KEY CHECK (number = 1),
    upgrade text NOT NULL,
    ordering text NOT NULL,
    seed bigint NOT NULL,
    state text NOT NULL,
    last_error text,
    filled boolean NOT NULL DEFAULT false,
    done bigint NOT NULL DEFAULT 0,
    sweeper bigint
);
CREATE TABLE IF NOT EXISTS {{workers}} (
    number bigint GENERATED ALWAYS AS IDENTITY PRIMARY KEY,
    name text NOT NULL UNIQUE,
    alone boolean NOT NULL,
    renewed float8 NOT NULL,
    until float8 NOT NULL
);
CREATE TABLE IF NOT EXISTS {{queue}} (
    item bytea PRIMARY KEY,
    key float8 NOT NULL,
    priority integer NOT NULL DEFAULT 0,
    state smallint NOT NULL DEFAULT {PENDING},
    worker bigint,
    version bigint NOT NULL,
    reason text
) WITH (fillfactor = 50);
CREATE TABLE IF NOT EXISTS {{batches}} (
    number bigint GENERATED ALWAYS AS IDENTITY PRIMARY KEY,
    items integer NOT NULL,
    ended float8 NOT NULL,
    seconds float8 NOT NULL
)
"""

# What a crash of the server forgets of routine work is found out again from the store. The queue
# was filled a moment ago and has no statistics: left to guess, the planner reads and sorts all of
# it for each lease, where the index has it in order.
_ROUTINE = (
    "SET LOCAL synchronous_commit = off; SET LOCAL enable_seqscan = off; "
    "SET LOCAL enable_bitmapscan = off; SET LOCAL enable_sort = off; "
)


class Tables:
    """Tables beside the collection's; created if they are not there."""

    def __init__(self, connections: Connections, catalog: Catalog) -> None:
        self._connections = connections
        self._names: dict[str, sql.Composable] = dict(catalog.journal_tables())
        # An index has its table's schema, so making one takes the bare name.
        self._names["new_order"] = sql.Identifier(catalog.own_name("first"))
        self._names["order"] = catalog.own_table("first")
        create = sql.SQL(_TABLES).format(**self._names)
        (there,) = connections.execute(
            sql.SQL("SELECT to_regclass({})").format(
                sql.Literal(self._names["batches"].as_string())
            )
        )
        if there == (None,):
            connections.run(catalog.lock(), lambda connection, _: connection.execute(create))
        # Shared by those who lease, exclusive for those who decide whether one may.
        self._lock = sql.Literal(f"crossfade.{self._names['job'].as_string()}")

    def together(self, work: Callable[[Connection], _Result]) -> _Result:
        """A transaction beside others of its kind."""
        return self._run(_ROUTINE, "_shared", work)

    def alone(self, work: Callable[[Connection], _Result]) -> _Result:
        """A transaction beside no other; it is on disk when it returns."""
        return self._run("", "", work)

    def _run(
        self, setting: LiteralString, kind: LiteralString, work: Callable[[Connection], _Result]
    ) -> _Result:
        form = f"{setting}SELECT pg_advisory_xact_lock{kind}(hashtextextended({{}}, 0))"
        begin = sql.SQL(form).format(self._lock)
        return self._connections.run(begin, lambda connection, _: work(connection))

    def beside(self, work: Callable[[Connection], _Result]) -> _Result:
        """A transaction that keeps nobody waiting who does not write the same rows."""
        return self._connections.run(sql.SQL(_ROUTINE), lambda connection, _: work(connection))

    def name(self, table: str) -> sql.Composable:
        """Of ``job``, ``queue`` and so on, for statements."""
        return self._names[table]

    def rows(self, statement: str, *given: Any) -> Rows:
        """The answer to one statement, beside any transaction."""
        return self._connections.run(
            sql.SQL("SELECT"),
            lambda connection, _: self.execute(connection, statement, *given).fetchall(),
        )

    def execute(self, connection: Connection, statement: str, *given: Any) -> Cursor[Row]:
        """Run a statement of ours in which ``{job}``, ``{queue}`` and so on name the tables."""
        return connection.execute(sql.SQL(statement).format(**self._names), given or None)
