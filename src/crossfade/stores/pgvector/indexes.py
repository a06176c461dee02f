"""HNSW indexes of vectors, B-tree indexes of what still lacks one, and the measure of both.

Names are made of the numbers of spaces, which are never used again, so that a name says which
index it is. All indexes go when their column goes.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

from psycopg import sql

from crossfade.errors import StoreError
from crossfade.stores.pgvector.address import Address
from crossfade.stores.pgvector.catalog import VectorColumn, named
from crossfade.stores.pgvector.connections import Connection, Connections
from crossfade.stores.pgvector.extension import Extension
from crossfade.stores.pgvector.layout import Layout

__all__ = ["Indexes", "Measure", "measure"]

_WIDEST, _WIDEST_HALVED = 2000, 4000
"""What an HNSW index takes of float32 and of float16."""
_LINKS, _BUILD_CANDIDATES = 16, 64
"""m and ef_construction: pgvector's own defaults, written down so that they are known."""


@dataclass(frozen=True)
class Measure:
    """How a column's vectors are compared with a query, the parameter of each expression.

    Attributes:
        distance: what an index orders by. indexed: the indexed expression.
        operators: the operator class of the index.
        is_exact: whether the index holds the vectors as they are.
    """

    extension: Extension
    column: sql.Identifier
    indexed: sql.Composable
    distance: sql.Composable
    operators: sql.Identifier
    is_exact: bool
    is_cosine: bool

    @property
    def score(self) -> sql.Composable:
        """The inner product of unit vectors, higher is closer."""
        return self.score_of(self.column)

    def score_of(self, vector: sql.Identifier) -> sql.Composable:
        """The same, of another column."""
        form = "1 - ({} {} %s::{})" if self.is_cosine else "-({} {} %s::{})"
        operator = self.extension.operator("<=>" if self.is_cosine else "<#>")
        return sql.SQL(form).format(vector, operator, self.extension.name("vector"))


def measure(column: VectorColumn, extension: Extension) -> Measure:
    """Inner products of our unit vectors; cosines of the user's, which may have any length."""
    symbol, kind = ("<=>", "cosine") if column.is_users else ("<#>", "ip")
    name, operator = named(column.column), extension.operator(symbol)
    half = sql.SQL("{}({})").format(extension.name("halfvec"), sql.Literal(column.space.dim))
    vector = extension.name("vector")
    is_exact = column.space.dim <= _WIDEST
    if is_exact:
        indexed: sql.Composable = sql.Identifier(column.column)
        distance = sql.SQL("{} {} %s::{}").format(name, operator, vector)
    else:
        indexed = sql.SQL("({}::{})").format(sql.Identifier(column.column), half)
        distance = sql.SQL("({0}::{1}) {2} (%s::{3})::{1}").format(name, half, operator, vector)
    prefix = "vector" if is_exact else "halfvec"
    return Measure(
        extension,
        column=name,
        indexed=indexed,
        distance=distance,
        operators=extension.name(f"{prefix}_{kind}_ops"),
        is_exact=is_exact,
        is_cosine=column.is_users,
    )


class Indexes:
    """The indexes of a table. They are built while others read and write."""

    def __init__(self, connections: Connections, address: Address, layout: Layout) -> None:
        self._connections = connections
        self._address = address
        self._layout = layout

    def build_lacking(self, column: VectorColumn) -> None:
        """An index of the ids that lack a vector: to count them, and to find the next."""
        self._build(
            lacking_name(column),
            sql.SQL("({key}) WHERE {column} IS NULL").format(
                key=sql.Identifier(self._layout.key_name), column=sql.Identifier(column.column)
            ),
        )

    def build_nearest(self, column: VectorColumn, lacks: VectorColumn | None) -> None:
        """An HNSW index of all vectors of a space, or of items that lack another's.

        A row leaves the second by itself when it gets the other vector.

        Raises:
            StoreError: the vectors are too wide for an index.
        """
        if column.space.dim > _WIDEST_HALVED:
            raise StoreError(
                f"{self._address}: pgvector indexes up to {_WIDEST_HALVED} dimensions, space "
                f"{column.space.name!r} has {column.space.dim}; searches of it stay exact"
            )
        by = measure(column, self._layout.extension)
        where = (
            sql.SQL("{} IS NOT NULL").format(sql.Identifier(column.column))
            if lacks is None
            else sql.SQL("{} IS NULL").format(sql.Identifier(lacks.column))
        )
        self._build(
            nearest_name(column, lacks),
            sql.SQL(
                "USING hnsw ({indexed} {operators}) WITH (m = {m}, ef_construction = {ef}) "
                "WHERE {where}"
            ).format(
                indexed=by.indexed,
                operators=by.operators,
                m=sql.Literal(_LINKS),
                ef=sql.Literal(_BUILD_CANDIDATES),
                where=where,
            ),
        )

    def settings(self, column: VectorColumn) -> Mapping[str, object]:
        """What kind of index a space has, and its parameters; empty without one."""
        found = self._connections.execute(self._search(f"crossfade_hnsw_{column.number}"))
        names = [name for (name,) in found]
        if not names:
            return {}
        return {
            "kind": "hnsw",
            "m": _LINKS,
            "ef_construction": _BUILD_CANDIDATES,
            "iterative_scan": "strict_order",
            "precision": "float32" if column.space.dim <= _WIDEST else "float16, rescored",
            "indexes": names,
        }

    def drop_in(self, connection: Connection, column: VectorColumn) -> None:
        """Drop all indexes of a space, in a transaction."""
        names = connection.execute(self._search(f"crossfade_hnsw_{column.number}")).fetchall()
        for (name,) in [(lacking_name(column),), *names]:
            connection.execute(sql.SQL("DROP INDEX IF EXISTS {}").format(self._qualified(name)))

    def _build(self, name: str, definition: sql.Composable) -> None:
        if self._is_valid(name):
            return
        # What a build that was cut off has left behind is no index.
        self._connections.execute(
            sql.SQL("DROP INDEX CONCURRENTLY IF EXISTS {}").format(self._qualified(name))
        )
        self._connections.execute(
            sql.SQL("CREATE INDEX CONCURRENTLY IF NOT EXISTS {} ON {} {}").format(
                sql.Identifier(name), self._layout.table, definition
            )
        )

    def _is_valid(self, name: str) -> bool:
        found = self._connections.execute(
            sql.SQL("SELECT indisvalid FROM pg_index WHERE indexrelid = to_regclass({})").format(
                sql.Literal(self._qualified(name).as_string())
            )
        )
        return found == [(True,)]

    def _search(self, name: str) -> sql.Composed:
        """A statement for the valid indexes of that name, and those with another space's."""
        return sql.SQL(
            "SELECT c.relname FROM pg_index i JOIN pg_class c ON c.oid = i.indexrelid "
            "WHERE i.indrelid = {}::regclass AND i.indisvalid AND "
            "(c.relname = {} OR starts_with(c.relname, {})) ORDER BY 1"
        ).format(
            sql.Literal(self._layout.table.as_string()),
            sql.Literal(name),
            sql.Literal(f"{name}_"),
        )

    def _qualified(self, name: str) -> sql.Identifier:
        return sql.Identifier(self._address.schema, name)


def lacking_name(column: VectorColumn) -> str:
    """The name of the index of items that lack a vector."""
    return f"crossfade_lacking_{column.number}"


def nearest_name(column: VectorColumn, lacks: VectorColumn | None) -> str:
    """The name of an HNSW index."""
    name = f"crossfade_hnsw_{column.number}"
    return name if lacks is None else f"{name}_lacking_{lacks.number}"
