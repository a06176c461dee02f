"""What Crossfade knows of its collections in a schema: three small tables.

    crossfade_collections   tables that are collections; of a user's own table also its key
    crossfade_spaces        spaces, and the columns that hold their vectors
    crossfade_pointers      named texts

They are there from the first collection of a schema until the last has been detached. The
journal of a collection's backfill has tables of its own beside them.
"""

from __future__ import annotations

import hashlib
from collections.abc import Iterable
from dataclasses import dataclass
from typing import Any

from psycopg import sql

from crossfade.embeddings import Space
from crossfade.errors import StoreError
from crossfade.stores.checks import check_space
from crossfade.stores.pgvector.address import Address
from crossfade.stores.pgvector.connections import Connection, Connections
from crossfade.stores.pgvector.text import escape, unescape

__all__ = ["Catalog", "Collection", "VectorColumn", "named"]

_FORMAT = 1
_TABLES = """
CREATE TABLE IF NOT EXISTS {collections} (
    name text PRIMARY KEY, format integer NOT NULL, id_column text, old_column text
);
CREATE TABLE IF NOT EXISTS {spaces} (
    number bigint GENERATED ALWAYS AS IDENTITY PRIMARY KEY,
    collection text NOT NULL REFERENCES {collections} ON DELETE CASCADE,
    name text NOT NULL,
    dim integer NOT NULL,
    column_name text,
    UNIQUE (collection, name)
);
CREATE TABLE IF NOT EXISTS {pointers} (
    collection text NOT NULL REFERENCES {collections} ON DELETE CASCADE,
    name text NOT NULL,
    value text NOT NULL,
    PRIMARY KEY (collection, name)
)
"""


@dataclass(frozen=True)
class Collection:
    """A row of the first table. ``id_column`` and ``old_column`` are None for our own tables."""

    id_column: str | None
    old_column: str | None


@dataclass(frozen=True)
class VectorColumn:
    """Where a space's vectors are.

    Attributes:
        number: of the space; never used again in this schema.
        column: its column.
        is_users: the user's own column, whose vectors may have any length.
    """

    space: Space
    number: int
    column: str
    is_users: bool


class Catalog:
    """The catalog of one collection."""

    def __init__(self, connections: Connections, address: Address) -> None:
        self._connections = connections
        self._address = address
        self._names = {
            name: sql.Identifier(address.schema, f"crossfade_{name}")
            for name in ("collections", "spaces", "pointers")
        }

    def is_there(self) -> bool:
        """Whether the schema has a catalog."""
        name = sql.Literal(self._names["collections"].as_string())
        return self._connections.execute(sql.SQL("SELECT to_regclass({})").format(name))[0] != (
            None,
        )

    def own_name(self, what: str) -> str:
        """The name of something that belongs to this collection alone."""
        digest = hashlib.sha256(self._address.table.encode()).hexdigest()[:16]
        return f"crossfade_{what}_{digest}"

    def journal_tables(self) -> dict[str, sql.Identifier]:
        """The names of the tables in which a backfill keeps its journal."""
        return {name: self.own_table(name) for name in ("job", "workers", "queue", "batches")}

    def own_table(self, what: str) -> sql.Identifier:
        """A table or an index that belongs to this collection alone, with its schema."""
        return sql.Identifier(self._address.schema, self.own_name(what))

    def create(self, connection: Connection) -> None:
        """Create the tables. Doing it again is harmless."""
        connection.execute(self._statement(_TABLES))

    def lock(self) -> sql.Composable:
        """A statement that lets one transaction at a time create or drop collections."""
        key = sql.Literal(f"crossfade.{self._address.schema}")
        return sql.SQL("SELECT pg_advisory_xact_lock(hashtextextended({}, 0))").format(key)

    def find(self, connection: Connection) -> Collection | None:
        """The collection, if the table is one.

        Raises:
            StoreError: a later release made it.
        """
        row = self._one(
            connection,
            "SELECT format, id_column, old_column FROM {collections} WHERE name = %s",
            self._address.table,
        )
        if row is None:
            return None
        if row[0] != _FORMAT:
            raise StoreError(
                f"{self._address} has format {row[0]}, this release reads {_FORMAT}; "
                "install the release that wrote it"
            )
        return Collection(row[1], row[2])

    def add(self, connection: Connection, collection: Collection) -> None:
        """Record a collection."""
        connection.execute(
            self._statement("INSERT INTO {collections} VALUES (%s, %s, %s, %s)"),
            (self._address.table, _FORMAT, collection.id_column, collection.old_column),
        )

    def remove(self, connection: Connection) -> None:
        """Forget the collection with all that we know of it; the last one takes the tables."""
        for table in self.journal_tables().values():
            connection.execute(sql.SQL("DROP TABLE IF EXISTS {}").format(table))
        connection.execute(
            self._statement("DELETE FROM {collections} WHERE name = %s"), (self._address.table,)
        )
        if self._one(connection, "SELECT 1 FROM {collections} LIMIT 1") is None:
            connection.execute(self._statement("DROP TABLE {pointers}, {spaces}, {collections}"))

    def column(self, space: str) -> VectorColumn:
        """Where the vectors of a space are.

        Raises:
            SpaceMismatch: there is no such space.
        """
        columns = self.columns(self._connections.execute(self.read_spaces()))
        check_space({name: column.space for name, column in columns.items()}, space)
        return columns[space]

    def read_spaces(self) -> sql.Composable:
        """A statement for the rows of :meth:`columns`."""
        return self._statement(
            "SELECT s.number, s.name, s.dim, s.column_name, s.column_name = c.old_column "
            "FROM {spaces} s JOIN {collections} c ON c.name = s.collection "
            "WHERE s.collection = {table} ORDER BY s.number",
            table=sql.Literal(self._address.table),
        )

    @staticmethod
    def columns(rows: Iterable[tuple[Any, ...]]) -> dict[str, VectorColumn]:
        """The spaces by name."""
        return {
            unescape(name): VectorColumn(
                Space(unescape(name), dim),
                number,
                column or f"crossfade_vector_{number}",
                bool(is_users),
            )
            for number, name, dim, column, is_users in rows
        }

    def add_space(
        self, connection: Connection, space: Space, column: str | None = None
    ) -> VectorColumn:
        """Record a space; its column gets a name that was never used, or is the user's own."""
        row = self._one(
            connection,
            "INSERT INTO {spaces} (collection, name, dim, column_name) VALUES (%s, %s, %s, %s) "
            "RETURNING number",
            self._address.table,
            escape(space.name),
            space.dim,
            column,
        )
        assert row is not None
        return VectorColumn(space, row[0], column or f"crossfade_vector_{row[0]}", bool(column))

    def remove_space(self, connection: Connection, number: int) -> None:
        """Forget a space."""
        connection.execute(self._statement("DELETE FROM {spaces} WHERE number = %s"), (number,))

    def read_pointer(self, connection: Connection, name: str) -> str | None:
        """A named text."""
        row = self._one(
            connection,
            "SELECT value FROM {pointers} WHERE collection = %s AND name = %s",
            self._address.table,
            escape(name),
        )
        return None if row is None else unescape(row[0])

    def hold_pointers(self, connection: Connection) -> None:
        """Let no named text change until the end of the transaction."""
        self._lock_pointers(connection, "pg_advisory_xact_lock_shared")

    def _lock_pointers(self, connection: Connection, function: str) -> None:
        # Unlike locks of rows these are fair: many who hold don't starve one who changes.
        key = f"crossfade.pointers.{self._address.schema}.{self._address.table}"
        statement = sql.SQL("SELECT {}(hashtextextended(%s, 0))").format(sql.SQL(function))
        connection.execute(statement, [key])

    def swap_pointer(
        self, connection: Connection, name: str, expect: str | None, value: str | None
    ) -> bool:
        """Compare and set a named text, in one statement."""
        self._lock_pointers(connection, "pg_advisory_xact_lock")
        if expect is None and value is None:
            return self.read_pointer(connection, name) is None
        if expect is None:
            statement = (
                "INSERT INTO {pointers} (collection, name, value) "
                "VALUES (%(collection)s, %(name)s, %(value)s) ON CONFLICT DO NOTHING"
            )
        elif value is None:
            statement = (
                "DELETE FROM {pointers} "
                "WHERE collection = %(collection)s AND name = %(name)s AND value = %(expect)s"
            )
        else:
            statement = (
                "UPDATE {pointers} SET value = %(value)s "
                "WHERE collection = %(collection)s AND name = %(name)s AND value = %(expect)s"
            )
        given = {
            "collection": self._address.table,
            "name": escape(name),
            "value": None if value is None else escape(value),
            "expect": None if expect is None else escape(expect),
        }
        return connection.execute(self._statement(statement), given).rowcount == 1

    def _one(self, connection: Connection, statement: str, *given: Any) -> tuple[Any, ...] | None:
        return connection.execute(self._statement(statement), given or None).fetchone()

    def _statement(self, text: str, **more: sql.Composable) -> sql.Composed:
        # The texts are ours; names and literals come quoted.
        return sql.SQL(text).format(**self._names, **more)


def named(*parts: str) -> sql.Identifier:
    """An identifier for a statement with parameters, where a percent sign is written twice."""
    return sql.Identifier(*(part.replace("%", "%%") for part in parts))
