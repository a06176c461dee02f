"""A table of the user's own, used in place: their columns are the items, ours are added.

A trigger watches over what the user's own SQL writes: new rows, and rows whose content has
changed, get a new version and lose the vectors that were computed from the old content. Our
own writes pass it by, with a setting that lasts for their transaction.
"""

from __future__ import annotations

import hashlib
import json
import secrets
import struct
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any
from uuid import UUID

from psycopg import sql

from crossfade.errors import InvalidInput
from crossfade.stores.base import Draft, Id
from crossfade.stores.pgvector import binary
from crossfade.stores.pgvector.address import Address
from crossfade.stores.pgvector.catalog import Collection, VectorColumn, named
from crossfade.stores.pgvector.extension import Extension
from crossfade.stores.pgvector.layout import Layout, Value, held_columns
from crossfade.stores.pgvector.session import Session

__all__ = ["KEY_TYPES", "VERSION", "UsersTable"]

VERSION = "crossfade_version"


@dataclass(frozen=True)
class _KeyType:
    """A type of keys: its name and number, and an id's binary form, None if it has none."""

    name: sql.SQL
    oid: int
    dump: Callable[[Id], bytes | None]


def _integer(form: str) -> Callable[[Id], bytes | None]:
    def dump(id: Id) -> bytes | None:
        try:
            return struct.pack(form, id)
        except struct.error:
            return None

    return dump


def _text(id: Id) -> bytes | None:
    return id.encode() if isinstance(id, str) and "\0" not in id else None


def _uuid(id: Id) -> bytes | None:
    try:
        value = UUID(id) if isinstance(id, str) else None
    except ValueError:
        return None
    # Only in PostgreSQL's own spelling: one row must not have several ids.
    return value.bytes if value is not None and str(value) == id else None


KEY_TYPES: Mapping[str, _KeyType] = {
    "smallint": _KeyType(sql.SQL("smallint"), 21, _integer(">h")),
    "integer": _KeyType(sql.SQL("integer"), 23, _integer(">i")),
    "bigint": _KeyType(sql.SQL("bigint"), 20, _integer(">q")),
    "text": _KeyType(sql.SQL("text"), 25, _text),
    "character varying": _KeyType(sql.SQL("text"), 25, _text),
    "uuid": _KeyType(sql.SQL("uuid"), 2950, _uuid),
}
_INTEGERS = {KEY_TYPES[name].oid for name in ("smallint", "integer", "bigint")}

# Compared are rows as they are in memory, since some types know no equality; and without our
# columns, since a row that only we have changed is the same to the user.
_FUNCTION = """
CREATE OR REPLACE FUNCTION {name}() RETURNS trigger LANGUAGE plpgsql AS $crossfade$
DECLARE was record;
BEGIN
    IF TG_OP = 'UPDATE' THEN
        was := OLD;
        {same}
        IF was OPERATOR(pg_catalog.*=) NEW THEN RETURN NEW; END IF;
    END IF;
    NEW.{version} := pg_catalog.floor(pg_catalog.random() * 9007199254740992);
    {cleared}
    RETURN NEW;
END
$crossfade$
"""
# The last of all triggers by name: what the user's own triggers change is content, too.
_TRIGGER = """
CREATE TRIGGER zz_crossfade BEFORE INSERT OR UPDATE ON {table} FOR EACH ROW
WHEN (current_setting('crossfade.writing', true) IS DISTINCT FROM 'on')
EXECUTE FUNCTION {name}()
"""


class UsersTable(Layout):
    """The layout of an attached table.

    Args:
        key_type: of its id column, one of :data:`KEY_TYPES`.
    """

    version = sql.Identifier(VERSION)
    begin_writing = sql.SQL("SET LOCAL crossfade.writing = 'on'")

    def __init__(
        self, extension: Extension, address: Address, collection: Collection, key_type: str
    ) -> None:
        super().__init__(extension)
        assert collection.id_column is not None and collection.old_column is not None
        self._address = address
        self._id, self._old = collection.id_column, collection.old_column
        self._key_type = KEY_TYPES[key_type]
        self.table = sql.Identifier(address.schema, address.table)
        self.key_name = self._id
        self.key = named(self._id)
        self.key_type, self.key_oid = self._key_type.name, self._key_type.oid
        is_text = self.key_oid == KEY_TYPES["text"].oid
        self.order = sql.SQL('{} COLLATE "C"').format(self.key) if is_text else self.key
        # Generated columns are not the item's content: they follow from it.
        self.read_fields = sql.SQL(
            "SELECT attname FROM pg_attribute WHERE attrelid = {}::regclass AND attnum > 0 "
            "AND NOT attisdropped AND attgenerated = '' AND attname NOT IN ({}, {}) "
            "AND NOT starts_with(attname, 'crossfade_') ORDER BY attnum"
        ).format(sql.Literal(self.table.as_string()), sql.Literal(self._id), sql.Literal(self._old))

    def dump_key(self, id: Id) -> bytes | None:
        return self._key_type.dump(id)

    def load_key(self, key: Any) -> Id:
        return str(key) if isinstance(key, UUID) else key

    def payload(self, session: Session) -> sql.Composable:
        if not session.fields:
            return sql.SQL("'{}'")
        columns = sql.SQL(", ").join([named(name) for name in session.fields])
        return sql.SQL(
            "(SELECT to_jsonb(crossfade_row) FROM (SELECT {}) AS crossfade_row)::text"
        ).format(columns)

    def load_payloads(self, texts: Sequence[str]) -> list[dict[str, Any]]:
        payloads: list[dict[str, Any]] = json.loads(f"[{','.join(texts)}]")
        return payloads

    def storable_text(self, text: str) -> str | None:
        return None if "\0" in text else text

    def field(self, name: str, session: Session) -> Value:
        if name not in session.fields:
            return sql.SQL("NULL::jsonb"), []
        return sql.SQL("to_jsonb({})").format(named(name)), []

    def put(self, session: Session, drafts: Sequence[Draft]) -> None:
        groups: dict[frozenset[str], list[tuple[bytes, Draft]]] = {}
        for draft in drafts:
            self._refuse_unknown(draft, session.fields)
            groups.setdefault(frozenset(draft.payload), []).append((self._key_of(draft.id), draft))
        for given, keyed in groups.items():
            ordered = sorted(keyed, key=lambda pair: pair[0])
            fields = [name for name in session.fields if name in given]
            self._put(session, fields, [key for key, _ in ordered], [one for _, one in ordered])
        if self.key_oid in _INTEGERS:
            self._move_sequence(session, max(int(draft.id) for draft in drafts))

    def columns_changed(self, session: Session, columns: Sequence[VectorColumn]) -> None:
        ours = [sql.Identifier(one.column) for one in columns if not one.is_users]
        version = sql.Identifier(VERSION)
        session.connection.execute(
            sql.SQL(_FUNCTION).format(
                name=self._function,
                same=sql.SQL(" ").join(
                    [sql.SQL("was.{0} := NEW.{0};").format(one) for one in (version, *ours)]
                ),
                cleared=sql.SQL(" ").join([sql.SQL("NEW.{} := NULL;").format(one) for one in ours]),
                version=version,
            )
        )

    def _put(
        self, session: Session, fields: list[str], keys: list[bytes], drafts: list[Draft]
    ) -> None:
        held, lacking = held_columns(session.columns, drafts)
        others = [name for name in session.fields if name not in fields]
        vectors = [sql.Identifier("w", f"v{at}") for at in range(len(held))]
        targets = [named(name) for name in fields] + [named(one.column) for one in held]
        updates = [sql.SQL("{0} = EXCLUDED.{0}").format(one) for one in (self.version, *targets)]
        updates += [sql.SQL("{} = DEFAULT").format(named(name)) for name in others]
        updates += [sql.SQL("{} = NULL").format(named(one.column)) for one in lacking]
        comma = sql.SQL(", ")
        unnested = [sql.SQL("%s::{}[], %s::bigint[], %s::text[]").format(self.key_type)]
        unnested += [sql.SQL("%s::{}[]").format(self.extension.name("vector")) for _ in held]
        statement = sql.SQL(
            "INSERT INTO {table} ({targets}) OVERRIDING SYSTEM VALUE SELECT {values} "
            "FROM unnest({unnested}) AS w ({names}) "
            "CROSS JOIN LATERAL jsonb_populate_record(NULL::{table}, w.p::jsonb) AS content "
            "ON CONFLICT ({key}) DO UPDATE SET {updates}"
        ).format(
            table=self.table,
            targets=comma.join([self.key, self.version, *targets]),
            values=comma.join(
                [
                    *(sql.SQL("w.k"), sql.SQL("w.n")),
                    *(sql.SQL("content.{}").format(named(name)) for name in fields),
                    *vectors,
                ]
            ),
            unnested=comma.join(unnested),
            names=comma.join(
                [sql.SQL("k, n, p"), *(sql.Identifier(f"v{at}") for at in range(len(held)))]
            ),
            key=self.key,
            updates=comma.join(updates),
        )
        payloads = [json.dumps(one.payload, ensure_ascii=False).encode() for one in drafts]
        arrays = [
            binary.array_of(keys, self.key_oid),
            binary.array_of_integers([secrets.randbits(62) for _ in drafts]),
            binary.array_of(payloads, 25),
            *(self.vectors(column, drafts) for column in held),
        ]
        session.connection.execute(statement, arrays)

    def _key_of(self, id: Id) -> bytes:
        key = self.dump_key(id)
        if key is None:
            raise InvalidInput(
                f"id {id!r} does not fit column {self._id!r} of {self._address}, "
                f"which is of type {self.key_type.as_string()}"
            )
        return key

    def _refuse_unknown(self, draft: Draft, fields: Sequence[str]) -> None:
        if unknown := sorted(set(draft.payload) - set(fields)):
            raise InvalidInput(
                f"the payload of item {draft.id!r} has {unknown}, but {self._address} has no such "
                f"payload columns; it has {list(fields)}"
            )

    def _move_sequence(self, session: Session, largest: int) -> None:
        """Ids that we were given must not come again when the user's own rows are numbered."""
        table, column = self.table.as_string(), self._id
        find = "SELECT pg_get_serial_sequence(%s, %s)"
        row = session.connection.execute(find, (table, column)).fetchone()
        if row is not None and row[0] is not None:
            session.connection.execute(
                "SELECT setval(%s::regclass, %s) WHERE %s > coalesce("
                "pg_sequence_last_value(%s::regclass), 0)",
                (row[0], largest, largest, row[0]),
            )

    def add_trigger(self, session: Session) -> None:
        """Have the user's own writes noticed."""
        self.columns_changed(session, [])
        session.connection.execute(sql.SQL(_TRIGGER).format(table=self.table, name=self._function))

    def give_back(self, session: Session) -> None:
        ours = [VERSION, *(one.column for one in session.columns.values() if not one.is_users)]
        session.connection.execute(
            sql.SQL(
                "DROP TRIGGER IF EXISTS zz_crossfade ON {table}; DROP FUNCTION IF EXISTS {name}; "
                "ALTER TABLE {table} {drop}"
            ).format(
                table=self.table,
                name=self._function,
                drop=sql.SQL(", ").join(
                    [
                        sql.SQL("DROP COLUMN IF EXISTS {}").format(sql.Identifier(one))
                        for one in ours
                    ]
                ),
            )
        )

    @property
    def _function(self) -> sql.Identifier:
        digest = hashlib.sha256(self._address.table.encode()).hexdigest()[:16]
        return sql.Identifier(self._address.schema, f"crossfade_touched_{digest}")
