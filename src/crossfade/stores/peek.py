"""Looking at a collection whose folder another process owns.

All stores with a folder keep ``PATH/lock`` while they are open and their pointers in
``PATH/catalog.sqlite3``, which others may read meanwhile.
"""

from __future__ import annotations

import sqlite3
from contextlib import closing
from dataclasses import dataclass
from pathlib import Path

from crossfade.errors import StoreError
from crossfade.stores.ownership import FileLock, Owned

__all__ = ["Held", "held_elsewhere"]


@dataclass(frozen=True)
class Held:
    """A collection that another process has open; owner says which, as far as is known."""

    folder: Path
    owner: str

    def read_pointer(self, name: str) -> str | None:
        """A small named text kept with the collection, or None.

        Raises:
            StoreError: it can't be read.
        """
        path = self.folder / "catalog.sqlite3"
        try:
            with closing(sqlite3.connect(f"file:{path}?mode=ro", uri=True)) as catalog:
                statement = "SELECT value FROM pointers WHERE name = ?"
                row = catalog.execute(statement, (name,)).fetchone()
        except sqlite3.Error as error:
            raise StoreError(f"{path} can't be read while {self.owner} has it: {error}") from error
        return None if row is None else str(row[0])


def held_elsewhere(uri: str) -> Held | None:
    """Who else has the collection open; None if nobody has, or it is none with a folder."""
    folder = Path(uri.partition("://")[2])
    if not (folder / "lock").is_file() or not (folder / "catalog.sqlite3").is_file():
        return None
    try:
        FileLock(folder / "lock").release()
    except Owned as error:
        return Held(folder, error.owner)
    except OSError:
        return None
    return None
