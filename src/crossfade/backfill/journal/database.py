"""A SQLite file behind a guard: transactions, formats, and errors in our words."""

from __future__ import annotations

import sqlite3
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

from crossfade.errors import StoreError, StoreUnavailable

__all__ = ["Database"]

_BUSY_SECONDS = 30.0
_CACHE_KIB = 4 * 1024


class Database:
    """One connection, used by one thread at a time.

    Args:
        form: the number of the file's format. Tables of an older one are dropped: what they
            say is found out again from the store.

    Raises:
        StoreError: the file is damaged, or of a newer format.
    """

    def __init__(self, path: str, form: int, schema: str) -> None:
        self._path = path
        self._mutex = threading.RLock()
        try:
            # Autocommit; transactions are begun where they are needed.
            self._connection = sqlite3.connect(
                path, check_same_thread=False, isolation_level=None, timeout=_BUSY_SECONDS
            )
            self._connection.execute("PRAGMA journal_mode = WAL")
            # What a crash of the machine takes from a journal is found out again from the store.
            self._connection.execute("PRAGMA synchronous = NORMAL")
            self._connection.execute(f"PRAGMA cache_size = -{_CACHE_KIB}")
            with self.transaction():
                self._adopt(form, schema)
        except sqlite3.Error as error:
            raise StoreError(
                f"the journal {path} can't be read ({error}); remove it, and the next run makes "
                "a new one from what the gallery lacks"
            ) from error

    def rows(self, statement: str, *values: Any) -> list[tuple[Any, ...]]:
        """The answer to one statement."""
        with self._mutex, self._translated():
            return self._connection.execute(statement, values).fetchall()

    @contextmanager
    def transaction(self) -> Iterator[sqlite3.Connection]:
        """All or nothing; other writers wait."""
        with self._mutex, self._translated():
            self._connection.execute("BEGIN IMMEDIATE")
            try:
                yield self._connection
                self._connection.execute("COMMIT")
            finally:
                # SQLite has rolled back by itself after some errors.
                if self._connection.in_transaction:
                    self._connection.execute("ROLLBACK")

    def close(self) -> None:
        """Close the file. Closing again is harmless."""
        with self._mutex:
            self._connection.close()

    def __del__(self) -> None:
        if hasattr(self, "_connection"):
            self._connection.close()

    def _adopt(self, form: int, schema: str) -> None:
        ((found,),) = self._connection.execute("PRAGMA user_version").fetchall()
        if found > form:
            raise StoreError(
                f"the journal {self._path} has format {found}, this release reads {form}; "
                "install the release that wrote it"
            )
        if found < form:
            tables = "SELECT name FROM sqlite_schema WHERE type = 'table' AND name NOT LIKE ?"
            for (table,) in self._connection.execute(tables, ("sqlite_%",)).fetchall():
                self._connection.execute(f'DROP TABLE "{table}"')
        for statement in filter(str.strip, schema.split(";")):
            self._connection.execute(statement)
        self._connection.execute(f"PRAGMA user_version = {form}")

    @contextmanager
    def _translated(self) -> Iterator[None]:
        try:
            yield
        except sqlite3.Error as error:
            # The lowest byte of a code says what kind it is; errors of Python's own have none.
            kind = getattr(error, "sqlite_errorcode", 0) & 0xFF
            if kind in (sqlite3.SQLITE_BUSY, sqlite3.SQLITE_LOCKED):
                raise StoreUnavailable(
                    f"the journal {self._path} has been held by another process for "
                    f"{_BUSY_SECONDS:.0f} seconds"
                ) from error
            if kind == sqlite3.SQLITE_FULL:
                raise StoreError(
                    f"no room is left for the journal {self._path} ({error}); free some and run "
                    "again, nothing is lost"
                ) from error
            raise StoreError(f"the journal {self._path} failed: {error}") from error
