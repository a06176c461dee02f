"""Reading items: by id, or one after the other."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from psycopg import sql

from crossfade.embeddings import FloatArray, normalise
from crossfade.errors import InvalidInput
from crossfade.stores.base import Id, Item
from crossfade.stores.pgvector import binary
from crossfade.stores.pgvector.catalog import VectorColumn, named
from crossfade.stores.pgvector.layout import Layout, Value
from crossfade.stores.pgvector.session import Session

__all__ = ["read_items", "scan_items"]


def read_items(
    session: Session, layout: Layout, ids: Sequence[Id], vectors: Sequence[str]
) -> list[Item | None]:
    """Items by id, in the order asked; None where there is none."""
    where = sql.SQL("{} = ANY(%s::{}[])").format(layout.key, layout.key_type)
    items = _read(session, layout, vectors, where, [layout.keys(ids)])
    found = {item.id: item for item in items}
    return [found.get(id) for id in ids]


def scan_items(
    session: Session,
    layout: Layout,
    after: Id | None,
    n: int,
    where: Value,
    vectors: Sequence[str],
    payload: bool,
) -> list[Item]:
    """Up to n items in the order of keys, behind one."""
    condition, given = where
    if after is not None:
        start = layout.dump_key(after)
        if start is None:
            raise InvalidInput(f"{after!r} can be no id in this table; scan on from an id of it")
        condition = sql.SQL("{} > %s::{} AND {}").format(layout.key, layout.key_type, condition)
        given = [binary.Raw(start), *given]
    ordered = sql.SQL("{} ORDER BY {} LIMIT %s").format(condition, layout.key)
    return _read(session, layout, vectors, ordered, [*given, n], payload)


def _read(
    session: Session,
    layout: Layout,
    vectors: Sequence[str],
    where: sql.Composable,
    given: list[Any],
    payload: bool = True,
) -> list[Item]:
    columns = [session.columns[name] for name in dict.fromkeys(vectors) if name in session.columns]
    statement = sql.SQL("SELECT {} FROM {} WHERE {}").format(
        sql.SQL(", ").join(
            [
                layout.key,
                layout.version,
                layout.payload(session) if payload else sql.SQL("NULL"),
                *(_vector(column, layout) for column in columns),
            ]
        ),
        layout.table,
        where,
    )
    rows = session.connection.execute(statement, given, binary=True).fetchall()
    payloads = layout.load_payloads([row[2] or "{}" for row in rows])
    return [
        Item(layout.load_key(key), version, _held(columns, held), payload)
        for (key, version, _, *held), payload in zip(rows, payloads, strict=True)
    ]


def _vector(column: VectorColumn, layout: Layout) -> sql.Composable:
    return sql.SQL("{}::{}").format(named(column.column), layout.extension.name("vector"))


def _held(
    columns: Sequence[VectorColumn], vectors: Sequence[bytes | None]
) -> dict[str, FloatArray]:
    held: dict[str, FloatArray] = {}
    for column, data in zip(columns, vectors, strict=True):
        if data is None:
            continue
        row = binary.read_vector(data)
        if not column.is_users:
            held[column.space.name] = row
        elif row.any():
            # The user's vectors may have any length; a zero vector has no direction, and is none.
            held[column.space.name] = normalise(row[None])[0]
    return held
