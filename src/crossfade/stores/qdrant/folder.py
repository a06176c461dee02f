"""The folder of a ``qdrant://`` collection: who owns it, its spaces and pointers, its seal.

    PATH/lock              held by the process that has it open
    PATH/catalog.sqlite3   spaces, pointers, the seal; the truth about what should be there
    PATH/shard/            the engine's own files

The engine does not survive a kill while it adds or drops a vector: its own config and its
segments then disagree, and it refuses to open. So each such change is announced here first.
A space is there when its row is ``ready``; vectors that are ``doomed`` (their space is dropped,
or was never ready) are removed at the next opening, for which the engine must then read its
config from the segments.
"""

from __future__ import annotations

import json
import sqlite3
import threading
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from crossfade.embeddings import Space
from crossfade.errors import StoreError
from crossfade.stores.ownership import FileLock, Owned

__all__ = ["Folder", "StoredSpace"]

_CATALOG = "catalog.sqlite3"
_FORMAT = "1"
_VECTOR = "space"
_SCHEMA = """
CREATE TABLE IF NOT EXISTS meta (name TEXT PRIMARY KEY, value TEXT NOT NULL);
CREATE TABLE IF NOT EXISTS pointers (name TEXT PRIMARY KEY, value TEXT NOT NULL);
CREATE TABLE IF NOT EXISTS spaces (
    number INTEGER PRIMARY KEY AUTOINCREMENT,
    name TEXT NOT NULL,
    dim INTEGER NOT NULL,
    state TEXT NOT NULL CHECK (state IN ('doomed', 'ready'))
);
CREATE UNIQUE INDEX IF NOT EXISTS ready_names ON spaces (name) WHERE state = 'ready';
"""


@dataclass(frozen=True)
class StoredSpace:
    """A space and the engine's name for its vectors, which is never used again."""

    space: Space
    vector: str


class Folder:
    """An owned folder.

    Raises:
        StoreError: another process owns it, it is somebody else's, or it is damaged.
    """

    def __init__(self, path: Path) -> None:
        self.path = path
        self._mutex = threading.Lock()
        _refuse_foreign(path)
        try:
            path.mkdir(parents=True, exist_ok=True)
            self._lock = FileLock(path / "lock")
        except Owned as error:
            raise StoreError(
                f"qdrant://{path} is open in {error.owner}; one process owns a folder. "
                "Stop it, or close its gallery, and try again"
            ) from error
        except OSError as error:
            raise StoreError(
                f"qdrant://{path} can't be opened: {error.strerror}; "
                "check the path and its permissions"
            ) from error
        try:
            self._catalog = self._open_catalog()
        except BaseException:
            self._lock.release()
            raise

    @property
    def shard(self) -> Path:
        """The engine's own folder."""
        return self.path / "shard"

    @property
    def new_shard(self) -> Path:
        """Where it is created, before it is moved into place whole."""
        return self.path / "shard.new"

    def is_started(self) -> bool:
        """Whether the collection has been created to the end."""
        return self._meta("started") is not None

    def mark_started(self) -> None:
        """Record that the collection has been created."""
        self._set_meta("started", "yes")

    def spaces(self) -> dict[str, StoredSpace]:
        """The spaces by name."""
        rows = self._rows("SELECT number, name, dim FROM spaces WHERE state = 'ready'")
        return {name: StoredSpace(Space(name, dim), _vector(number)) for number, name, dim in rows}

    def announce_space(self, space: Space) -> StoredSpace:
        """Record that a space is about to be added; until it is ready, it is doomed."""
        with self._transaction() as catalog:
            number = catalog.execute(
                "INSERT INTO spaces (name, dim, state) VALUES (?, ?, 'doomed')",
                (space.name, space.dim),
            ).lastrowid
        return StoredSpace(space, _vector(number))

    def make_ready(self, stored: StoredSpace) -> None:
        """Record that the engine has added a space's vectors."""
        number = int(stored.vector.removeprefix(_VECTOR))
        self._rows("UPDATE spaces SET state = 'ready' WHERE number = ?", number)

    def doom_space(self, name: str) -> None:
        """Forget a space, and have its vectors removed."""
        self._rows("UPDATE spaces SET state = 'doomed' WHERE name = ?", name)

    def doomed_vectors(self) -> list[str]:
        """The engine's vectors to remove."""
        rows = self._rows("SELECT number FROM spaces WHERE state = 'doomed'")
        return [_vector(number) for (number,) in rows]

    def forget_doomed(self) -> None:
        """Record that the engine has removed them."""
        self._rows("DELETE FROM spaces WHERE state = 'doomed'")

    def read_pointer(self, name: str) -> str | None:
        """A named text."""
        rows = self._rows("SELECT value FROM pointers WHERE name = ?", name)
        return rows[0][0] if rows else None

    def swap_pointer(self, name: str, expect: str | None, value: str | None) -> bool:
        """Compare and set a named text."""
        with self._transaction() as catalog:
            row = catalog.execute("SELECT value FROM pointers WHERE name = ?", (name,)).fetchone()
            if (row[0] if row else None) != expect:
                return False
            catalog.execute("DELETE FROM pointers WHERE name = ?", (name,))
            if value is not None:
                catalog.execute("INSERT INTO pointers VALUES (?, ?)", (name, value))
            return True

    def seal(self, counts: Mapping[str, int]) -> None:
        """Record what the folder holds when it is closed in good order."""
        self._set_meta("seal", json.dumps(counts))

    def read_seal(self) -> dict[str, int] | None:
        """What was there when it was closed; None if it has been written to since."""
        text = self._meta("seal")
        return None if text is None else dict(json.loads(text))

    def break_seal(self) -> None:
        """Record that the folder is about to be written to."""
        self._rows("DELETE FROM meta WHERE name = 'seal'")

    def close(self) -> None:
        """Release the folder."""
        with self._mutex:
            self._catalog.close()
        self._lock.release()

    def _open_catalog(self) -> sqlite3.Connection:
        path = self.path / _CATALOG
        try:
            # Autocommit; transactions are begun where they are needed.
            catalog = sqlite3.connect(path, check_same_thread=False, isolation_level=None)
            catalog.execute("PRAGMA journal_mode = WAL")
            catalog.execute("PRAGMA synchronous = FULL")
            catalog.executescript(_SCHEMA)
            catalog.execute("INSERT OR IGNORE INTO meta VALUES ('format', ?)", (_FORMAT,))
            (form,) = catalog.execute("SELECT value FROM meta WHERE name = 'format'").fetchone()
        except sqlite3.Error as error:
            raise StoreError(f"{path} can't be read ({error}); restore it from a copy") from error
        if form != _FORMAT:
            catalog.close()
            raise StoreError(
                f"{path} has format {form}, this release reads {_FORMAT}; "
                "install the release that wrote it"
            )
        return catalog

    def _meta(self, name: str) -> str | None:
        rows = self._rows("SELECT value FROM meta WHERE name = ?", name)
        return rows[0][0] if rows else None

    def _set_meta(self, name: str, value: str) -> None:
        self._rows("INSERT OR REPLACE INTO meta VALUES (?, ?)", name, value)

    def _rows(self, statement: str, *values: Any) -> list[tuple[Any, ...]]:
        with self._mutex, self._translated():
            return self._catalog.execute(statement, values).fetchall()

    @contextmanager
    def _transaction(self) -> Iterator[sqlite3.Connection]:
        with self._mutex, self._translated():
            self._catalog.execute("BEGIN IMMEDIATE")
            try:
                yield self._catalog
            except BaseException:
                self._catalog.execute("ROLLBACK")
                raise
            self._catalog.execute("COMMIT")

    @contextmanager
    def _translated(self) -> Iterator[None]:
        try:
            yield
        except sqlite3.Error as error:
            raise StoreError(f"qdrant://{self.path}: {_CATALOG} failed: {error}") from error


def _vector(number: int | None) -> str:
    return f"{_VECTOR}{number}"


def _refuse_foreign(path: Path) -> None:
    if path.exists() and not path.is_dir():
        raise StoreError(f"qdrant://{path} is a file; name a folder")
    if not path.is_dir() or (path / _CATALOG).exists():
        return
    if (path / "shard").exists():
        raise StoreError(f"qdrant://{path} has lost its {_CATALOG}; restore it from a copy")
    if any(file.name != "lock" for file in path.iterdir()):
        raise StoreError(
            f"qdrant://{path} holds other files and no {_CATALOG}; name a new or empty folder"
        )
