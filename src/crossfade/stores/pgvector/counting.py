"""Counting without reading the rows, which are wide.

What has a vector is what is there less what lacks it, and what lacks one has an index of ids
alone. So a count reads indexes, whatever the coverage.
"""

from __future__ import annotations

from psycopg import sql

from crossfade.stores.pgvector.catalog import VectorColumn
from crossfade.stores.pgvector.layout import Layout
from crossfade.stores.pgvector.session import Session

__all__ = ["count_rows"]


def count_rows(session: Session, layout: Layout, has: str | None, lacks: str | None) -> int:
    """How many items hold the one vector and lack the other."""
    if has is not None and has not in session.columns:
        return 0
    lacking = [session.columns[lacks]] if lacks is not None and lacks in session.columns else []
    counts = [_lacking(layout, lacking)]
    if has is not None:
        counts.append(_lacking(layout, [*lacking, session.columns[has]]))
    # One statement, so that both counts are of the same moment.
    statement = sql.SQL("SELECT {}").format(sql.SQL(" - ").join(counts))
    row = session.connection.execute(statement).fetchone()
    assert row is not None
    return int(row[0])


def _lacking(layout: Layout, columns: list[VectorColumn]) -> sql.Composed:
    conditions = [sql.SQL("{} IS NULL").format(sql.Identifier(column.column)) for column in columns]
    where = sql.SQL(" AND ").join([sql.SQL("TRUE"), *conditions])
    return sql.SQL("(SELECT count(*) FROM {} WHERE {})").format(layout.table, where)
