"""Searches: exact ones by a scan, approximate ones by an HNSW index if there is one."""

from __future__ import annotations

from dataclasses import dataclass

from psycopg import sql

from crossfade.embeddings import FloatArray
from crossfade.stores.base import Match, id_order
from crossfade.stores.pgvector import binary
from crossfade.stores.pgvector.catalog import VectorColumn, named
from crossfade.stores.pgvector.connections import Rows
from crossfade.stores.pgvector.indexes import Measure, measure
from crossfade.stores.pgvector.layout import Layout, Value
from crossfade.stores.pgvector.session import Session

__all__ = ["Nearest", "index_search_settings"]

_LARGEST_EF = 1000
_RESCORED = 4
"""Candidates by an index of smaller numbers, for each result."""


def index_search_settings(k: int) -> sql.Composable:
    """Settings for a transaction with approximate searches.

    The index is read on until enough rows pass the filter: without that, a filter that few
    rows pass leaves few or none of the hits that the index gave.
    """
    wanted = sql.Literal(min(max(2 * k, 100), _LARGEST_EF))
    return sql.SQL(
        "SET LOCAL hnsw.iterative_scan = strict_order; "
        "SET LOCAL hnsw.max_scan_tuples = 2147483647; "
        "SET LOCAL hnsw.scan_mem_multiplier = 8; "
        "SET LOCAL hnsw.ef_search = {}"
    ).format(wanted)


@dataclass(frozen=True)
class Nearest:
    """A search in one column, for any queries.

    Attributes:
        where: which rows qualify; they hold a vector.
    """

    layout: Layout
    session: Session
    column: VectorColumn
    where: Value
    exact: bool

    def __call__(self, queries: FloatArray, k: int) -> list[list[Match]]:
        """The k best matches of each query ``(q, d)``."""
        return [self._one(query, k) for query in queries]

    def _one(self, query: FloatArray, k: int) -> list[Match]:
        by = measure(self.column, self.layout.extension)
        if not self.exact:
            found = self._matches(self._by_index(by, query, k))
            # Too few: all that qualify, or the index gave up. Only a scan knows.
            if len(found) >= k:
                return found[:k]
        return self._matches(self._by_scan(by, query, k))

    def _by_scan(self, by: Measure, query: FloatArray, k: int) -> Rows:
        """Ordered by score, not by distance: no index serves that, so it is exact.

        Among equal scores the order is that of keys, so that the cut is the right one.
        """
        where, given = self.where
        statement = sql.SQL(
            "SELECT {key}, {version}, {score} AS crossfade_score FROM {table} "
            "WHERE {where} ORDER BY crossfade_score DESC, {order} LIMIT %s"
        ).format(**self._names(), score=by.score, where=where, order=self.layout.order)
        asked = binary.vector(query)
        return self.session.connection.execute(
            statement, [asked, *given, k], binary=True
        ).fetchall()

    def _by_index(self, by: Measure, query: FloatArray, k: int) -> Rows:
        where, given = self.where
        rows = k if by.is_exact else max(_RESCORED * k, 100)
        statement = sql.SQL(
            "SELECT key, version, {score} FROM ("
            "SELECT {key} AS key, {version} AS version, {vector} AS vector FROM {table} "
            "WHERE {where} ORDER BY {distance} LIMIT %s) AS near"
        ).format(
            **self._names(),
            vector=named(self.column.column),
            score=by.score_of(sql.Identifier("vector")),
            where=where,
            distance=by.distance,
        )
        asked = binary.vector(query)
        return self.session.connection.execute(
            statement, [asked, *given, asked, rows], binary=True
        ).fetchall()

    def _matches(self, rows: Rows) -> list[Match]:
        found = [
            Match(self.layout.load_key(key), version, score)
            for key, version, score in rows
            if score == score  # a zero vector of the user's has no direction
        ]
        return sorted(found, key=lambda match: (-match.score, id_order(match.id)))

    def _names(self) -> dict[str, sql.Composable]:
        layout = self.layout
        return {"key": layout.key, "version": layout.version, "table": layout.table}
