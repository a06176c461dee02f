"""The store on PostgreSQL with pgvector."""

from __future__ import annotations

import threading
import time
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from typing import TypeVar

from psycopg import sql

from crossfade.embeddings import FloatArray, Space
from crossfade.errors import StoreError, StoreUnavailable
from crossfade.stores.base import (
    Draft,
    Id,
    Item,
    Match,
    Outcome,
    Store,
    VectorWrite,
)
from crossfade.stores.checks import (
    check_drafts,
    check_k,
    check_queries,
    check_space,
    check_writes,
    plain_id,
    plain_ids,
)
from crossfade.stores.filters import Filter, check_filter
from crossfade.stores.pgvector import CAPABILITIES
from crossfade.stores.pgvector.address import Address
from crossfade.stores.pgvector.catalog import Catalog, VectorColumn, named
from crossfade.stores.pgvector.conditional import set_vectors
from crossfade.stores.pgvector.conditions import condition
from crossfade.stores.pgvector.connections import Connection, Connections, Rows
from crossfade.stores.pgvector.counting import count_rows
from crossfade.stores.pgvector.errors import translated
from crossfade.stores.pgvector.indexes import Indexes
from crossfade.stores.pgvector.layout import Layout, Value
from crossfade.stores.pgvector.nearest import Nearest, index_search_settings
from crossfade.stores.pgvector.reading import read_items, scan_items
from crossfade.stores.pgvector.session import Session

__all__ = ["PgvectorStore"]

_Result = TypeVar("_Result")
_LOCK_SECONDS = 3
_LOCK_ATTEMPTS = 5


class PgvectorStore(Store):
    """A table on a server. Use :func:`crossfade.stores.open_store`.

    Both vectors of an item are columns of one row. Each method is one transaction: what it
    writes is there whole or not at all, and survives whatever the server promises to survive.
    """

    capabilities = CAPABILITIES

    def __init__(
        self, address: Address, connections: Connections, catalog: Catalog, layout: Layout
    ) -> None:
        self.address = address
        self.connections = connections
        self.catalog = catalog
        self.layout = self._layout = layout
        self._indexes = Indexes(connections, address, layout)
        self._moment = threading.local()

    def __repr__(self) -> str:
        return f"<PgvectorStore {self.address}>"

    def spaces(self) -> Mapping[str, Space]:
        return self._read(lambda session: session.spaces)

    def ensure_space(self, space: Space) -> None:
        column = self._read(lambda session: session.columns.get(space.name))
        if column is None:
            column = self._alter(lambda session: self._add_column(session, space))
        column.space.require(space)
        self._indexes.build_lacking(column)

    def drop_space(self, name: str) -> None:
        if name in self.spaces():
            self._alter(lambda session: self._drop_column(session, name))

    def put(self, drafts: Sequence[Draft]) -> None:
        self._write(lambda session: self._put(session, drafts))

    def put_if(self, drafts: Sequence[Draft], name: str, expect: str) -> bool:
        def work(session: Session) -> bool:
            self.catalog.hold_pointers(session.connection)
            if self.catalog.read_pointer(session.connection, name) != expect:
                return False
            self._put(session, drafts)
            return True

        return self._write(work)

    def set_vectors(self, space: str, writes: Sequence[VectorWrite]) -> list[Outcome]:
        def work(session: Session) -> list[Outcome]:
            checked = check_writes(writes, check_space(session.spaces, space))
            return set_vectors(session, self._layout, session.columns[space], checked)

        return self._write(work)

    def delete(self, ids: Iterable[Id]) -> int:
        keys = self._layout.keys(sorted(set(plain_ids(ids)), key=repr))
        statement = self._statement("DELETE FROM {table} WHERE {key} = ANY(%s::{key_type}[])")
        return self._write(lambda session: session.connection.execute(statement, [keys]).rowcount)

    def get(self, ids: Sequence[Id], *, vectors: Sequence[str] = ()) -> list[Item | None]:
        wanted = plain_ids(ids)
        return self._read(lambda session: read_items(session, self._layout, wanted, vectors))

    def search(
        self,
        space: str,
        queries: FloatArray,
        k: int,
        *,
        lacks: str | None = None,
        filter: Filter | None = None,
        exact: bool = True,
    ) -> list[list[Match]]:
        check_filter(filter or {})
        check_k(k)

        def work(session: Session) -> list[list[Match]]:
            rows = check_queries(queries, check_space(session.spaces, space))
            where = self._where(session, has=space, lacks=lacks, filter=filter)
            nearest = Nearest(self._layout, session, session.columns[space], where, exact)
            return nearest(rows, check_k(k))

        return self._read(work, None if exact else index_search_settings(check_k(k)))

    def scan(
        self,
        *,
        after: Id | None = None,
        n: int,
        lacks: str | None = None,
        vectors: Sequence[str] = (),
        payload: bool = True,
    ) -> list[Item]:
        start = None if after is None else plain_id(after)

        def work(session: Session) -> list[Item]:
            where = self._where(session, lacks=lacks)
            return scan_items(session, self._layout, start, n, where, vectors, payload)

        return self._read(work)

    def count(self, *, has: str | None = None, lacks: str | None = None) -> int:
        return self._read(lambda session: count_rows(session, self._layout, has, lacks))

    def build_index(self, space: str, *, lacks: str | None = None) -> None:
        columns = self._read(lambda session: session.columns)
        check_space({name: column.space for name, column in columns.items()}, space)
        self._indexes.build_nearest(columns[space], columns.get(lacks or ""))

    def index_settings(self, space: str) -> Mapping[str, object]:
        columns = self._read(lambda session: session.columns)
        check_space({name: column.space for name, column in columns.items()}, space)
        return self._indexes.settings(columns[space])

    def read_pointer(self, name: str) -> str | None:
        return self._read(lambda session: self.catalog.read_pointer(session.connection, name))

    def swap_pointer(self, name: str, expect: str | None, value: str | None) -> bool:
        return self._write(
            lambda session: self.catalog.swap_pointer(session.connection, name, expect, value)
        )

    @contextmanager
    def reading_one_moment(self) -> Iterator[bool]:
        isolation = sql.SQL("SET TRANSACTION ISOLATION LEVEL REPEATABLE READ, READ ONLY")
        # The lock comes before the moment: no column is dropped between the two.
        begin = self._beginning("ACCESS SHARE", isolation)
        with self.connections.transaction(begin) as (connection, rows):
            self._moment.session = self._session(connection, rows)
            try:
                yield True
            finally:
                self._moment.session = None

    def flush(self) -> None:
        # Matters only where the server was told to report commits before they are on disk.
        self.connections.run(
            sql.SQL(
                "SET LOCAL synchronous_commit = on; "
                "SELECT pg_logical_emit_message(true, 'crossfade', '')"
            ),
            lambda *_: None,
        )

    def close(self) -> None:
        self.connections.close()

    def finish_attaching(self) -> None:
        """Do what is done after a table was attached, unless it has been.

        Raises:
            StoreError: it is attached with another space.
        """
        columns = self._read(lambda session: session.columns)
        for column in columns.values():
            if column.is_users:
                self._require_space_of(column.space)
                self._indexes.build_lacking(column)

    def _require_space_of(self, old: Space) -> None:
        name, dim = self.address.space or old.name, self.address.dim or old.dim
        if (name, dim) != (old.name, old.dim):
            raise StoreError(
                f"{self.address} is attached with old vectors of space {old.name!r} "
                f"({old.dim}-d), not {name!r} ({dim}-d); detach it first"
            )

    def give_back(self) -> None:
        """Remove from a table of the user's own all that was added to it.

        Raises:
            InvalidInput: it is a table of Crossfade's own.
        """

        def work(session: Session) -> None:
            for column in session.columns.values():
                self._indexes.drop_in(session.connection, column)
            self._layout.give_back(session)
            self.catalog.remove(session.connection)

        self._alter(work)

    def _read(
        self, work: Callable[[Session], _Result], settings: sql.Composable | None = None
    ) -> _Result:
        session: Session | None = getattr(self._moment, "session", None)
        if session is None:
            return self._locked("ACCESS SHARE", work, settings)
        with translated(self.address):
            if settings is not None:
                session.connection.execute(sql.Composed([settings]))
            return work(session)

    def _write(self, work: Callable[[Session], _Result]) -> _Result:
        return self._locked("ROW EXCLUSIVE", work, self._layout.begin_writing)

    def _alter(self, work: Callable[[Session], _Result]) -> _Result:
        """Change columns. Whoever waits for that lock stops all that come after, so not long."""
        waiting = sql.SQL("SET LOCAL lock_timeout = {}; {}").format(
            sql.Literal(f"{_LOCK_SECONDS}s"), self.catalog.lock()
        )
        for attempt in range(_LOCK_ATTEMPTS):
            try:
                return self._locked("ACCESS EXCLUSIVE", work, waiting)
            except StoreUnavailable:
                if attempt == _LOCK_ATTEMPTS - 1:
                    raise
                time.sleep(0.2 * 2**attempt)
        raise AssertionError("the last attempt returns or raises")

    def _locked(
        self, mode: str, work: Callable[[Session], _Result], settings: sql.Composable | None
    ) -> _Result:
        def in_session(connection: Connection, rows: list[Rows]) -> _Result:
            return work(self._session(connection, rows))

        return self.connections.run(self._beginning(mode, settings), in_session)

    def _beginning(self, mode: str, settings: sql.Composable | None) -> sql.Composable:
        """The statements that a transaction begins with; :meth:`_session` takes their rows."""
        lock = sql.SQL("LOCK TABLE {} IN {} MODE").format(self._layout.table, sql.SQL(mode))
        begin = [settings, lock, self.catalog.read_spaces(), self._layout.read_fields]
        return sql.SQL("; ").join([one for one in begin if one is not None])

    def _session(self, connection: Connection, rows: list[Rows]) -> Session:
        fields = rows.pop() if self._layout.read_fields is not None else []
        return Session(connection, self.catalog.columns(rows[-1]), [name for (name,) in fields])

    def _put(self, session: Session, drafts: Sequence[Draft]) -> None:
        checked = check_drafts(drafts, session.spaces)
        if checked:
            self._layout.put(session, checked)

    def _add_column(self, session: Session, space: Space) -> VectorColumn:
        if space.name in session.columns:
            return session.columns[space.name]
        column = self.catalog.add_space(session.connection, space)
        session.connection.execute(
            sql.SQL("ALTER TABLE {} ADD COLUMN {} {}({})").format(
                self._layout.table,
                sql.Identifier(column.column),
                self._layout.extension.name("vector"),
                sql.Literal(space.dim),
            )
        )
        self._layout.columns_changed(session, [*session.columns.values(), column])
        return column

    def _drop_column(self, session: Session, name: str) -> None:
        column = session.columns.get(name)
        if column is None:
            return
        self.catalog.remove_space(session.connection, column.number)
        if not column.is_users:
            session.connection.execute(
                sql.SQL("ALTER TABLE {} DROP COLUMN IF EXISTS {}").format(
                    self._layout.table, sql.Identifier(column.column)
                )
            )
        else:
            self._indexes.drop_in(session.connection, column)
        left = [one for one in session.columns.values() if one is not column]
        self._layout.columns_changed(session, left)

    def _where(
        self,
        session: Session,
        *,
        has: str | None = None,
        lacks: str | None = None,
        filter: Filter | None = None,
    ) -> Value:
        text, given = condition(filter or {}, self._layout, session)
        parts: list[sql.Composable] = []
        for name, form in ((has, "{} IS NOT NULL"), (lacks, "{} IS NULL")):
            if name is not None and name in session.columns:
                parts.append(_on(form, session.columns[name]))
        return sql.SQL(" AND ").join([*parts, text]), given

    def _statement(self, form: str) -> sql.Composed:
        layout = self._layout
        return sql.SQL(form).format(table=layout.table, key=layout.key, key_type=layout.key_type)


def _on(form: str, column: VectorColumn) -> sql.Composed:
    return sql.SQL(form).format(named(column.column))
