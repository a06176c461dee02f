"""A small SQLite file beside a store's own files: what should be there, and its pointers.

Transactions of one process take turns by a mutex, those of several processes by SQLite's lock.
"""

from __future__ import annotations

import sqlite3
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from crossfade.errors import StoreError, StoreUnavailable

__all__ = ["Catalog"]

_SCHEMA = """
CREATE TABLE IF NOT EXISTS meta (name TEXT PRIMARY KEY, value TEXT NOT NULL);
CREATE TABLE IF NOT EXISTS pointers (name TEXT PRIMARY KEY, value TEXT NOT NULL);
"""


class Catalog:
    """An open catalog; created if it is not there.

    Args:
        path: the file.
        uri: the store's URI, for messages.
        schema: statements that create the store's own tables, harmless when repeated.
        form: the version of the format.
        synchronous: ``FULL`` to wait for the disk at every commit; ``NORMAL`` keeps what was
            written over the death of the process, and over that of the machine after
            :meth:`sync`.
        wait_seconds: how long to wait for another process's transaction.

    Raises:
        StoreError: it is damaged, or of another format.
    """

    def __init__(
        self,
        path: Path,
        uri: str,
        schema: str,
        form: str,
        *,
        synchronous: str = "FULL",
        wait_seconds: float = 5.0,
    ) -> None:
        self._path, self._uri = path, uri
        self._mutex = threading.RLock()
        self._closed = False
        try:
            # Autocommit; transactions are begun where they are needed.
            self._connection = sqlite3.connect(
                path, check_same_thread=False, isolation_level=None, timeout=wait_seconds
            )
            self._connection.execute("PRAGMA journal_mode = WAL")
            self._connection.execute(f"PRAGMA synchronous = {synchronous}")
            self._connection.executescript(_SCHEMA + schema)
            self._connection.execute("INSERT OR IGNORE INTO meta VALUES ('format', ?)", (form,))
            found = self.meta("format")
        except sqlite3.Error as error:
            raise StoreError(f"{path} can't be read ({error}); restore it from a copy") from error
        if found != form:
            self.close()
            raise StoreError(
                f"{path} has format {found}, this release reads {form}; "
                "install the release that wrote it"
            )

    def rows(self, statement: str, *values: Any) -> list[tuple[Any, ...]]:
        """All rows of one statement."""
        with self._mutex, self._translated():
            return self._connection.execute(statement, values).fetchall()

    @contextmanager
    def transaction(self) -> Iterator[sqlite3.Connection]:
        """All statements inside are kept together or not at all; one at a time."""
        with self._mutex, self._translated():
            self._connection.execute("BEGIN IMMEDIATE")
            try:
                yield self._connection
                self._connection.execute("COMMIT")
            except BaseException:
                if self._connection.in_transaction:
                    self._connection.execute("ROLLBACK")
                raise

    def meta(self, name: str) -> str | None:
        """A fact about the collection."""
        found = self.rows("SELECT value FROM meta WHERE name = ?", name)
        return found[0][0] if found else None

    def set_meta(self, name: str, value: str) -> None:
        """Record a fact about the collection."""
        self.rows("INSERT OR REPLACE INTO meta VALUES (?, ?)", name, value)

    def read_pointer(self, name: str) -> str | None:
        """A named text."""
        found = self.rows("SELECT value FROM pointers WHERE name = ?", name)
        return found[0][0] if found else None

    def swap_pointer(self, name: str, expect: str | None, value: str | None) -> bool:
        """Compare and set a named text."""
        with self.transaction() as connection:
            row = connection.execute(
                "SELECT value FROM pointers WHERE name = ?", (name,)
            ).fetchone()
            if (row[0] if row else None) != expect:
                return False
            connection.execute("DELETE FROM pointers WHERE name = ?", (name,))
            if value is not None:
                connection.execute("INSERT INTO pointers VALUES (?, ?)", (name, value))
            return True

    def sync(self) -> None:
        """Wait until everything committed is on the disk."""
        self.rows("PRAGMA wal_checkpoint(FULL)")

    def close(self) -> None:
        """Release the file. Closing again is harmless."""
        with self._mutex:
            self._closed = True
            self._connection.close()

    @contextmanager
    def _translated(self) -> Iterator[None]:
        if self._closed:
            raise StoreError(f"{self._uri} has been closed; open it again")
        try:
            yield
        except sqlite3.OperationalError as error:
            if "locked" in str(error):
                raise StoreUnavailable(
                    f"{self._uri}: another process is writing; try again"
                ) from error
            raise StoreError(f"{self._uri}: {self._path.name} failed: {error}") from error
        except sqlite3.Error as error:
            raise StoreError(f"{self._uri}: {self._path.name} failed: {error}") from error
