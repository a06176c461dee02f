"""A table of Crossfade's own: a key that sorts as ids do, a version, a JSON payload."""

from __future__ import annotations

import secrets
from collections.abc import Iterator, Mapping, Sequence
from typing import Any

from psycopg import sql

from crossfade.errors import InvalidInput
from crossfade.stores.base import Draft, Id
from crossfade.stores.pgvector import binary
from crossfade.stores.pgvector.address import Address
from crossfade.stores.pgvector.catalog import VectorColumn
from crossfade.stores.pgvector.connections import Connection
from crossfade.stores.pgvector.extension import Extension
from crossfade.stores.pgvector.layout import Layout, Value, held_columns
from crossfade.stores.pgvector.session import Session
from crossfade.stores.pgvector.text import (
    dump_payload,
    escape,
    id_of,
    key_of,
    load_payloads,
    storable_key,
)

__all__ = ["OwnTable"]

_PUT_BYTES = 8 * 2**20
"""Vectors in one statement."""
_PUT_ROWS = 8192
# Vectors stay in their row as long as both fit its page: a search then reads pages in their
# order instead of fetching each vector from elsewhere.
_CREATE = """
CREATE TABLE {table} (
    key bytea PRIMARY KEY, version bigint NOT NULL, payload jsonb NOT NULL
) WITH (toast_tuple_target = 8160)
"""


class OwnTable(Layout):
    """The layout of a table that :func:`create` has made."""

    key_name = "key"
    key = sql.Identifier(key_name)
    version = sql.Identifier("version")
    order = key
    key_type = sql.SQL("bytea")
    key_oid = 17
    has_plain_keys = True

    def __init__(self, extension: Extension, address: Address) -> None:
        super().__init__(extension)
        self.table = sql.Identifier(address.schema, address.table)

    def create(self, connection: Connection) -> None:
        """Create the table."""
        connection.execute(sql.SQL(_CREATE).format(table=self.table))

    def dump_key(self, id: Id) -> bytes | None:
        return key_of(id)

    def load_key(self, key: Any) -> Id:
        return id_of(key)

    def payload(self, session: Session) -> sql.Composable:  # noqa: ARG002 - one column for all
        return sql.SQL("payload::text")

    def load_payloads(self, texts: Sequence[str]) -> list[dict[str, Any]]:
        return load_payloads(texts)

    def storable_text(self, text: str) -> str | None:
        return escape(text)

    def field(self, name: str, session: Session) -> Value:  # noqa: ARG002
        return sql.SQL("(payload -> %s::text)"), [escape(name)]

    def put(self, session: Session, drafts: Sequence[Draft]) -> None:
        # In the order of keys: two that write the same items then don't wait for each other.
        ordered = sorted(((storable_key(draft.id), draft) for draft in drafts), key=lambda p: p[0])
        for part in _parts(ordered, session.columns):
            keys = [key for key, _ in part]
            self._put(session, keys, [draft for _, draft in part])

    def columns_changed(self, session: Session, columns: Sequence[VectorColumn]) -> None:
        """Nothing depends on them."""

    def give_back(self, session: Session) -> None:  # noqa: ARG002
        raise InvalidInput(
            f"{self.table.as_string()} is a table of Crossfade's own, nothing was attached there; "
            "drop it if you don't want it"
        )

    def _put(self, session: Session, keys: list[bytes], drafts: list[Draft]) -> None:
        held, lacking = held_columns(session.columns, drafts)
        columns = [sql.Identifier(column.column) for column in held]
        vectors = sql.SQL("%s::{}[]").format(self.extension.name("vector"))
        unnested = [sql.SQL("%s::bytea[], %s::bigint[], %s::text[]"), *(vectors for _ in held)]
        names = [sql.Identifier(f"v{at}") for at in range(len(held))]
        updates = [sql.SQL("{0} = EXCLUDED.{0}").format(column) for column in columns]
        updates += [
            sql.SQL("{} = NULL").format(sql.Identifier(column.column)) for column in lacking
        ]
        comma = sql.SQL(", ")
        statement = sql.SQL(
            "INSERT INTO {table} (key, version, payload{columns}) "
            "SELECT k, n, p::jsonb{names} FROM unnest({unnested}) AS w (k, n, p{names}) "
            "ON CONFLICT (key) DO UPDATE SET version = EXCLUDED.version, "
            "payload = EXCLUDED.payload{updates}"
        ).format(
            table=self.table,
            columns=_more(columns),
            names=_more(names),
            unnested=comma.join(unnested),
            updates=_more(updates),
        )
        # Random, not counted: a version must not come again, whoever writes.
        versions = [secrets.randbits(62) for _ in drafts]
        payloads = [dump_payload(draft.payload).encode() for draft in drafts]
        given = [
            binary.array_of(keys, self.key_oid),
            binary.array_of_integers(versions),
            binary.array_of(payloads, 25),
            *(self.vectors(column, drafts) for column in held),
        ]
        session.connection.execute(statement, given)


def _more(parts: Sequence[sql.Composable]) -> sql.Composed:
    return sql.Composed([sql.SQL(", ") + part for part in parts])


def _parts(
    ordered: list[tuple[bytes, Draft]], columns: Mapping[str, VectorColumn]
) -> Iterator[list[tuple[bytes, Draft]]]:
    width = 4 * sum(column.space.dim for column in columns.values())
    rows = max(1, min(_PUT_ROWS, _PUT_BYTES // max(width, 1)))
    for start in range(0, len(ordered), rows):
        yield ordered[start : start + rows]
