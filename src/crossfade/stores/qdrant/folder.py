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
import shutil
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

from crossfade.embeddings import Space
from crossfade.errors import StoreError
from crossfade.stores.catalog import Catalog
from crossfade.stores.owned_folder import own_folder

__all__ = ["Folder", "StoredSpace"]

_CATALOG = "catalog.sqlite3"
_FORMAT = "1"
_VECTOR = "space"
_SCHEMA = """
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
        self._lock = own_folder(path, f"qdrant://{path}", _CATALOG, data="shard")
        try:
            self._catalog = Catalog(path / _CATALOG, f"qdrant://{path}", _SCHEMA, _FORMAT)
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

    def require_room(self, wanted_bytes: int) -> None:
        """Refuse to write to a disk that is nearly full.

        Raises:
            StoreError: less than that is free.
        """
        free = shutil.disk_usage(self.path).free
        if free < wanted_bytes:
            raise StoreError(
                f"no room is left for qdrant://{self.path}: {free / 2**20:.0f} MiB are free, "
                f"wanted {wanted_bytes / 2**20:.0f}; free some and try again, nothing is lost"
            )

    def is_started(self) -> bool:
        """Whether the collection has been created to the end."""
        return self._catalog.meta("started") is not None

    def mark_started(self) -> None:
        """Record that the collection has been created."""
        self._catalog.set_meta("started", "yes")

    def spaces(self) -> dict[str, StoredSpace]:
        """The spaces by name."""
        rows = self._catalog.rows("SELECT number, name, dim FROM spaces WHERE state = 'ready'")
        return {name: StoredSpace(Space(name, dim), _vector(number)) for number, name, dim in rows}

    def announce_space(self, space: Space) -> StoredSpace:
        """Record that a space is about to be added; until it is ready, it is doomed."""
        with self._catalog.transaction() as catalog:
            number = catalog.execute(
                "INSERT INTO spaces (name, dim, state) VALUES (?, ?, 'doomed')",
                (space.name, space.dim),
            ).lastrowid
        return StoredSpace(space, _vector(number))

    def make_ready(self, stored: StoredSpace) -> None:
        """Record that the engine has added a space's vectors."""
        number = int(stored.vector.removeprefix(_VECTOR))
        self._catalog.rows("UPDATE spaces SET state = 'ready' WHERE number = ?", number)

    def doom_space(self, name: str) -> None:
        """Forget a space, and have its vectors removed."""
        self._catalog.rows("UPDATE spaces SET state = 'doomed' WHERE name = ?", name)

    def doomed_vectors(self) -> list[str]:
        """The engine's vectors to remove."""
        rows = self._catalog.rows("SELECT number FROM spaces WHERE state = 'doomed'")
        return [_vector(number) for (number,) in rows]

    def forget_doomed(self) -> None:
        """Record that the engine has removed them."""
        self._catalog.rows("DELETE FROM spaces WHERE state = 'doomed'")

    def read_pointer(self, name: str) -> str | None:
        """A named text."""
        return self._catalog.read_pointer(name)

    def swap_pointer(self, name: str, expect: str | None, value: str | None) -> bool:
        """Compare and set a named text."""
        return self._catalog.swap_pointer(name, expect, value)

    def seal(self, counts: Mapping[str, int]) -> None:
        """Record what the folder holds when it is closed in good order."""
        self._catalog.set_meta("seal", json.dumps(counts))

    def read_seal(self) -> dict[str, int] | None:
        """What was there when it was closed; None if it has been written to since."""
        text = self._catalog.meta("seal")
        return None if text is None else dict(json.loads(text))

    def break_seal(self) -> None:
        """Record that the folder is about to be written to."""
        self._catalog.rows("DELETE FROM meta WHERE name = 'seal'")

    def close(self) -> None:
        """Release the folder."""
        self._catalog.close()
        self._lock.release()


def _vector(number: int | None) -> str:
    return f"{_VECTOR}{number}"
