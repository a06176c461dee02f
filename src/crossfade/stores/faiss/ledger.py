"""The truth of a ``faiss://`` collection: items and vectors in one SQLite file.

Every item has a number. Every vector has a change: a number that grows with each vector written
and never comes again. An index of FAISS is right about an item's vector if it knows its change,
so an index file of any age can be brought up to date, and one that is lost can be built again.
"""

from __future__ import annotations

import json
import secrets
import sqlite3
from collections.abc import Iterable, Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np

from crossfade.embeddings import FloatArray, Space
from crossfade.stores.base import Draft, Id, Item, Outcome, VectorWrite
from crossfade.stores.catalog import Catalog
from crossfade.stores.faiss.terms import SqlTerms
from crossfade.stores.faiss.vectors import (
    Numbers,
    StoredSpace,
    VectorRows,
    from_blob,
    insert_vectors,
    joined,
    vector_rows,
)
from crossfade.stores.fields import labels, numbers, translate
from crossfade.stores.filters import Filter

__all__ = ["Ledger"]

_SCHEMA = """
CREATE TABLE IF NOT EXISTS items (
    number INTEGER PRIMARY KEY,
    id NOT NULL UNIQUE, -- of no type: integers come before texts, as id_order has it
    version INTEGER NOT NULL,
    payload TEXT NOT NULL
);
CREATE TABLE IF NOT EXISTS spaces (
    number INTEGER PRIMARY KEY AUTOINCREMENT,
    name TEXT NOT NULL UNIQUE,
    dim INTEGER NOT NULL,
    kind TEXT,
    file TEXT
);
CREATE TABLE IF NOT EXISTS vectors (
    change INTEGER PRIMARY KEY AUTOINCREMENT,
    space INTEGER NOT NULL,
    item INTEGER NOT NULL,
    vector BLOB NOT NULL
);
CREATE UNIQUE INDEX IF NOT EXISTS vector_of ON vectors (item, space);
CREATE TABLE IF NOT EXISTS labels (
    label TEXT NOT NULL, item INTEGER NOT NULL, PRIMARY KEY (label, item)
) WITHOUT ROWID;
CREATE INDEX IF NOT EXISTS label_of ON labels (item);
CREATE TABLE IF NOT EXISTS numbers (
    name TEXT NOT NULL, value REAL NOT NULL, item INTEGER NOT NULL, PRIMARY KEY (name, value, item)
) WITHOUT ROWID;
CREATE INDEX IF NOT EXISTS number_of ON numbers (item);
"""
_FORMAT = "1"
_AT_ONCE = 500
"""Values bound in one statement."""
_VECTORS_AT_ONCE = 10_000
_COLUMNS = "number, id, version, payload"
_COLUMNS_BUT_PAYLOAD = "number, id, version, '{}'"
_HOLDS = "EXISTS (SELECT 1 FROM vectors WHERE item = items.number AND space = ?)"


class Ledger:
    """The open file. Who writes must hold the store's lock."""

    def __init__(self, path: Path, uri: str) -> None:
        # Numbers of deleted items are used again, so that arrays by number stay small.
        self._free: list[int] = []
        self.catalog = Catalog(path, uri, _SCHEMA, _FORMAT, synchronous="NORMAL")

    def spaces(self) -> dict[str, StoredSpace]:
        """The spaces by name."""
        found = self.catalog.rows("SELECT name, dim, number, kind, file FROM spaces")
        return {
            name: StoredSpace(Space(name, dim), number, kind, file)
            for name, dim, number, kind, file in found
        }

    def add_space(self, space: Space) -> None:
        """Record a space."""
        self.catalog.rows("INSERT INTO spaces (name, dim) VALUES (?, ?)", space.name, space.dim)

    def drop_space(self, stored: StoredSpace) -> None:
        """Forget a space and its vectors."""
        with self.catalog.transaction() as sql:
            sql.execute("DELETE FROM vectors WHERE space = ?", (stored.number,))
            sql.execute("DELETE FROM spaces WHERE number = ?", (stored.number,))

    def set_index(self, stored: StoredSpace, kind: str, file: str) -> None:
        """Record a space's approximate index and its file."""
        self.catalog.rows(
            "UPDATE spaces SET kind = ?, file = ? WHERE number = ?", kind, file, stored.number
        )

    def put(
        self, drafts: Sequence[Draft], spaces: Mapping[str, StoredSpace]
    ) -> tuple[list[int], dict[str, VectorRows]]:
        """Write whole items; returns all their numbers, and their vectors by space."""
        with self.catalog.transaction() as sql:
            items = [self._put(sql, draft) for draft in drafts]
            written: dict[str, VectorRows] = {}
            for name, stored in spaces.items():
                holders = [
                    (item, draft.vectors[name])
                    for item, draft in zip(items, drafts, strict=True)
                    if name in draft.vectors
                ]
                if holders:
                    written[name] = insert_vectors(sql, stored, holders)
        return items, written

    def set_vectors(
        self, stored: StoredSpace, writes: Sequence[VectorWrite]
    ) -> tuple[list[Outcome], VectorRows | None]:
        """Attach vectors to the versions they were computed from; the last to an item stands."""
        with self.catalog.transaction() as sql:
            outcomes: list[Outcome] = []
            applied: dict[int, FloatArray] = {}
            for write in writes:
                found = sql.execute(
                    "SELECT number, version FROM items WHERE id = ?", (write.id,)
                ).fetchone()
                if found is None:
                    outcomes.append(Outcome.GONE)
                elif found[1] != write.version:
                    outcomes.append(Outcome.STALE)
                else:
                    outcomes.append(Outcome.APPLIED)
                    applied[found[0]] = write.vector
            if not applied:
                return outcomes, None
            for number in applied:
                statement = "DELETE FROM vectors WHERE space = ? AND item = ?"
                sql.execute(statement, (stored.number, number))
            return outcomes, insert_vectors(sql, stored, list(applied.items()))

    def delete(self, ids: Iterable[Id]) -> list[int]:
        """Delete items; returns the numbers of those that were there."""
        with self.catalog.transaction() as sql:
            gone: list[int] = []
            for id in ids:
                found = sql.execute("DELETE FROM items WHERE id = ? RETURNING number", (id,))
                gone += [number for (number,) in found.fetchall()]
            for number in gone:
                _delete_fields_and_vectors(sql, number)
        self._free += gone
        return gone

    def get(self, ids: Sequence[Id], spaces: Sequence[StoredSpace]) -> list[Item | None]:
        """Read items in the order asked."""
        found: list[Item | None] = []
        for id in ids:
            rows = self.catalog.rows(f"SELECT {_COLUMNS} FROM items WHERE id = ?", id)
            found += [self._item(row, spaces) for row in rows] or [None]
        return found

    def scan(
        self,
        after: Id | None,
        n: int,
        lacks: StoredSpace | None,
        spaces: Sequence[StoredSpace],
        payload: bool,
    ) -> list[Item]:
        """Items behind an id, in order of id."""
        where, values = ["1"], list[Any]()
        if after is not None:
            where.append("id > ?")
            values.append(after)
        if lacks is not None:
            where.append(f"NOT {_HOLDS}")
            values.append(lacks.number)
        columns = _COLUMNS if payload else _COLUMNS_BUT_PAYLOAD
        statement = f"SELECT {columns} FROM items WHERE {' AND '.join(where)} ORDER BY id LIMIT ?"
        return [self._item(row, spaces) for row in self.catalog.rows(statement, *values, n)]

    def count(self, has: StoredSpace | None, lacks: StoredSpace | None) -> int:
        """How many items hold the one and lack the other."""
        where, values = ["1"], list[Any]()
        for stored, form in ((has, _HOLDS), (lacks, f"NOT {_HOLDS}")):
            if stored is not None:
                where.append(form)
                values.append(stored.number)
        statement = f"SELECT COUNT(*) FROM items WHERE {' AND '.join(where)}"
        return int(self.catalog.rows(statement, *values)[0][0])

    def passing(self, filter: Filter) -> Numbers:
        """The numbers of the items that pass a checked filter."""
        clause = translate(filter, SqlTerms())
        found = self.catalog.rows(f"SELECT number FROM items WHERE {clause.text}", *clause.values)
        return np.array([number for (number,) in found], dtype=np.int64)

    def keys(self, items: Sequence[int]) -> dict[int, tuple[Id, int]]:
        """Id and version by number."""
        found: dict[int, tuple[Id, int]] = {}
        for some in _parts(items):
            marks = ", ".join("?" * len(some))
            statement = f"SELECT number, id, version FROM items WHERE number IN ({marks})"
            found |= {row[0]: (row[1], row[2]) for row in self.catalog.rows(statement, *some)}
        return found

    def most_items(self) -> int:
        """A number larger than that of any item."""
        (largest,) = self.catalog.rows("SELECT COALESCE(MAX(number), -1) FROM items")[0]
        return int(largest) + 1

    def changes(self, stored: StoredSpace) -> Numbers:
        """By the number of an item, the change of its vector, or -1."""
        statement = "SELECT item, change FROM vectors WHERE space = ?"
        pairs = np.array(self.catalog.rows(statement, stored.number), dtype=np.int64).reshape(-1, 2)
        found = np.full(self.most_items(), -1, dtype=np.int64)
        found[pairs[:, 0]] = pairs[:, 1]
        return found

    def all_vectors(self, stored: StoredSpace) -> VectorRows:
        """Every vector of a space, read in parts."""
        parts: list[VectorRows] = []
        last = -1
        while True:
            found = self.catalog.rows(
                "SELECT item, change, vector FROM vectors "
                "WHERE change > ? AND space = ? ORDER BY change LIMIT ?",
                last,
                stored.number,
                _VECTORS_AT_ONCE,
            )
            if not found:
                return joined(parts, stored.space.dim)
            parts.append(vector_rows(found, stored.space.dim))
            last = found[-1][1]

    def vectors(self, stored: StoredSpace, items: Sequence[int]) -> VectorRows:
        """The vectors of items that hold one."""
        found: list[tuple[Any, ...]] = []
        for some in _parts(items):
            marks = ", ".join("?" * len(some))
            found += self.catalog.rows(
                f"SELECT item, change, vector FROM vectors WHERE space = ? AND item IN ({marks})",
                stored.number,
                *some,
            )
        return vector_rows(found, stored.space.dim)

    def _put(self, sql: sqlite3.Connection, draft: Draft) -> int:
        # Random, not counted: a version seen before a crash must not come again after it.
        version, payload = secrets.randbits(62), json.dumps(draft.payload)
        found = sql.execute(
            "UPDATE items SET version = ?, payload = ? WHERE id = ? RETURNING number",
            (version, payload, draft.id),
        ).fetchone()
        if found is not None:
            number: int = found[0]
            _delete_fields_and_vectors(sql, number)
        else:
            number = self._new_number(sql)
            sql.execute(
                "INSERT INTO items VALUES (?, ?, ?, ?)", (number, draft.id, version, payload)
            )
        sql.executemany(
            "INSERT INTO labels VALUES (?, ?)", [(text, number) for text in labels(draft.payload)]
        )
        sql.executemany(
            "INSERT INTO numbers VALUES (?, ?, ?)",
            [(name, value, number) for name, value in numbers(draft.payload).items()],
        )
        return number

    def _new_number(self, sql: sqlite3.Connection) -> int:
        if self._free:
            return self._free.pop()
        (largest,) = sql.execute("SELECT COALESCE(MAX(number), -1) FROM items").fetchone()
        return int(largest) + 1

    def _item(self, row: tuple[Any, ...], spaces: Sequence[StoredSpace]) -> Item:
        number, id, version, payload = row
        vectors: dict[str, FloatArray] = {}
        for stored in spaces:
            statement = "SELECT vector FROM vectors WHERE space = ? AND item = ?"
            for (blob,) in self.catalog.rows(statement, stored.number, number):
                vectors[stored.space.name] = from_blob(blob)
        return Item(id, version, vectors, json.loads(payload))


def _delete_fields_and_vectors(sql: sqlite3.Connection, number: int) -> None:
    for table in ("vectors", "labels", "numbers"):
        sql.execute(f"DELETE FROM {table} WHERE item = ?", (number,))


def _parts(values: Sequence[int]) -> Iterable[Sequence[int]]:
    return (values[start : start + _AT_ONCE] for start in range(0, len(values), _AT_ONCE))
