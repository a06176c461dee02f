"""Connections to a server: lent one to a caller, replaced when they break."""

from __future__ import annotations

import random
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from typing import Any, TypeAlias, TypeVar

import psycopg
from psycopg import sql

from crossfade.errors import StoreError
from crossfade.stores.pgvector import binary
from crossfade.stores.pgvector.address import Address
from crossfade.stores.pgvector.errors import is_conflict, is_lost, translated

__all__ = ["Connection", "Connections", "Rows"]

Connection: TypeAlias = psycopg.Connection[tuple[Any, ...]]
Rows: TypeAlias = list[tuple[Any, ...]]
_Result = TypeVar("_Result")

_MOST_CONNECTIONS = 10
_MOST_ATTEMPTS = 10
_CONNECT_SECONDS = 10
_SETTINGS = {
    # A search is one statement over wide rows: compiling it takes longer than it saves.
    "jit": "off",
    "client_encoding": "utf8",
}


class Connections:
    """Transactions on a server, from any thread.

    Broken connections are replaced: a call that finds its connection broken before it has
    begun is made on a new one, a call that loses it on the way raises StoreUnavailable.
    """

    def __init__(self, address: Address) -> None:
        self._address = address
        self._idle: list[Connection] = []
        self._mutex = threading.Lock()
        self._places = threading.BoundedSemaphore(_MOST_CONNECTIONS)
        self._closed = False

    def run(
        self,
        begin: sql.Composable,
        work: Callable[[Connection, list[Rows]], _Result],
    ) -> _Result:
        """Do some work in a transaction of its own; again if it conflicts with another's.

        Args:
            begin: statements without parameters to begin with, sent in one go; their rows
                are handed on, a list for each statement that returns rows.
        """
        with translated(self._address):
            for attempt in range(_MOST_ATTEMPTS):
                try:
                    with self._transaction(begin) as (connection, rows):
                        return work(connection, rows)
                except psycopg.Error as error:
                    if not is_conflict(error) or attempt == _MOST_ATTEMPTS - 1:
                        raise
                    time.sleep(random.uniform(0, 0.01 * 2**attempt))
        raise AssertionError("the last attempt returns or raises")

    @contextmanager
    def transaction(self, begin: sql.Composable) -> Iterator[tuple[Connection, list[Rows]]]:
        """A transaction over several calls, never made again; otherwise as :meth:`run`."""
        with translated(self._address), self._transaction(begin) as begun:
            yield begun

    def execute(self, statement: sql.Composable) -> Rows:
        """A statement that takes no transaction, such as building an index while others write."""
        with translated(self._address), self._lent(statement) as (_, rows):
            return [row for listed in rows for row in listed]

    def connect(self) -> Connection:
        """A connection of the caller's own, each statement of which is its own transaction."""
        with translated(self._address):
            return self._connect()

    def refuse_closed(self) -> None:
        """Raise StoreError if they have been closed."""
        if self._closed:
            raise StoreError(f"{self._address} has been closed; open it again")

    def close(self) -> None:
        """Close what is idle; what is lent is closed when it comes back."""
        with self._mutex:
            self._closed = True
            idle, self._idle = self._idle, []
        for connection in idle:
            connection.close()

    @contextmanager
    def _transaction(self, begin: sql.Composable) -> Iterator[tuple[Connection, list[Rows]]]:
        with self._lent(sql.SQL("BEGIN; {}").format(begin)) as (connection, rows):
            yield connection, rows
            connection.execute("COMMIT")

    @contextmanager
    def _lent(self, begin: sql.Composable) -> Iterator[tuple[Connection, list[Rows]]]:
        """A connection on which ``begin`` has been executed, and the rows of that."""
        self.refuse_closed()
        with self._places:
            connection, rows = self._begun(begin)
            try:
                yield connection, rows
            except BaseException as error:
                if isinstance(error, psycopg.Error) and is_lost(error):
                    self._discard_idle()
                if not isinstance(error, Exception) or not _rolled_back(connection):
                    connection.close()
                raise
            finally:
                self._take_back(connection)

    def _begun(self, begin: sql.Composable) -> tuple[Connection, list[Rows]]:
        with self._mutex:
            connection = self._idle.pop() if self._idle else None
        if connection is not None:
            try:
                return connection, self._begin(connection, begin)
            except psycopg.Error as error:
                if not is_lost(error):
                    raise
                self._discard_idle()
        connection = self._connect()
        return connection, self._begin(connection, begin)

    def _begin(self, connection: Connection, begin: sql.Composable) -> list[Rows]:
        try:
            return _all_rows(connection, begin)
        except BaseException as error:
            if isinstance(error, psycopg.Error) and _rolled_back(connection):
                self._take_back(connection)
            else:
                connection.close()
            raise

    def _connect(self) -> Connection:
        given: dict[str, Any] = {
            "connect_timeout": str(_CONNECT_SECONDS),
            "application_name": "crossfade",
        }
        settings = " ".join(f"-c {key}={value}" for key, value in _SETTINGS.items())
        given |= self._address.connection
        given["options"] = f"{settings} {given.get('options', '')}".strip()
        # Plans are made anew each time: which is best depends on how far the backfill is.
        connection = psycopg.connect(**given, autocommit=True, prepare_threshold=None)
        binary.register(connection)
        return connection

    def _take_back(self, connection: Connection) -> None:
        with self._mutex:
            if not self._closed and not connection.closed:
                self._idle.append(connection)
                return
        connection.close()

    def _discard_idle(self) -> None:
        """A server that broke one connection has broken those that lie idle too."""
        with self._mutex:
            idle, self._idle = self._idle, []
        for connection in idle:
            connection.close()


def _all_rows(connection: Connection, statements: sql.Composable) -> list[Rows]:
    cursor = connection.execute(sql.Composed([statements]))
    found: list[Rows] = []
    while True:
        if cursor.description is not None:
            found.append(cursor.fetchall())
        if not cursor.nextset():
            return found


def _rolled_back(connection: Connection) -> bool:
    with suppress(psycopg.Error):
        connection.execute("ROLLBACK")
        return True
    return False
