"""Attaching vectors to items that still are what the vectors were computed from."""

from __future__ import annotations

from collections.abc import Iterator, Sequence

from psycopg import sql

from crossfade.stores.base import Outcome, VectorWrite
from crossfade.stores.pgvector import binary
from crossfade.stores.pgvector.catalog import VectorColumn, named
from crossfade.stores.pgvector.layout import Layout
from crossfade.stores.pgvector.session import Session

__all__ = ["set_vectors"]

_WRITE_BYTES = 8 * 2**20
"""Vectors in one statement."""

Keyed = tuple[int, bytes, VectorWrite]
"""A write's place among all, its key, and the write."""


def set_vectors(
    session: Session, layout: Layout, column: VectorColumn, writes: Sequence[VectorWrite]
) -> list[Outcome]:
    """One outcome a write, in the order given."""
    outcomes = [Outcome.GONE] * len(writes)
    keyed = [
        (place, key, write)
        for place, write in enumerate(writes)
        if (key := layout.dump_key(write.id)) is not None
    ]
    for part in _parts(keyed, column.space.dim):
        applied = _apply(session, layout, column, part)
        left = [one for place, one in enumerate(part) if place not in applied]
        there = _there(session, layout, [key for _, key, _ in left]) if left else set()
        for at, (place, _, write) in enumerate(part):
            if at in applied:
                outcomes[place] = Outcome.APPLIED
            elif write.id in there:
                outcomes[place] = Outcome.STALE
    return outcomes


def _apply(
    session: Session, layout: Layout, column: VectorColumn, part: Sequence[Keyed]
) -> set[int]:
    """Compare and set in one statement; the places in ``part`` of those that were applied."""
    statement = sql.SQL(
        "UPDATE {table} AS items SET {column} = w.vector "
        "FROM unnest(%s::{key_type}[], %s::bigint[], %s::{vector}[]) "
        "WITH ORDINALITY AS w (key, version, vector, place) "
        "WHERE items.{key} = w.key AND items.{version} = w.version RETURNING w.place"
    ).format(
        table=layout.table,
        column=named(column.column),
        key=layout.key,
        version=layout.version,
        key_type=layout.key_type,
        vector=layout.extension.name("vector"),
    )
    given = [
        binary.array_of([key for _, key, _ in part], layout.key_oid),
        binary.array_of_integers([write.version for _, _, write in part]),
        binary.array_of_vectors(
            [write.vector for _, _, write in part], column.space.dim, layout.extension.oid
        ),
    ]
    rows = session.connection.execute(statement, given, binary=True).fetchall()
    return {place - 1 for (place,) in rows}


def _there(session: Session, layout: Layout, keys: list[bytes]) -> set[object]:
    statement = sql.SQL("SELECT {key} FROM {table} WHERE {key} = ANY(%s::{key_type}[])").format(
        key=layout.key, table=layout.table, key_type=layout.key_type
    )
    given = [binary.array_of(list(keys), layout.key_oid)]
    found = session.connection.execute(statement, given, binary=True)
    return {layout.load_key(key) for (key,) in found}


def _parts(keyed: Sequence[Keyed], dim: int) -> Iterator[list[Keyed]]:
    """In the order of keys, so that two writers don't wait for each other; no key twice in one
    part, and the writes to one item in the order given."""
    rows = max(1, _WRITE_BYTES // (4 * dim))
    rounds: list[list[Keyed]] = []
    times: dict[bytes, int] = {}
    for one in keyed:
        turn = times[one[1]] = times.get(one[1], -1) + 1
        if turn == len(rounds):
            rounds.append([])
        rounds[turn].append(one)
    for turn_writes in rounds:
        ordered = sorted(turn_writes, key=lambda one: one[1])
        for start in range(0, len(ordered), rows):
            yield ordered[start : start + rows]
