"""Looking at a table of the user's own before anything is changed."""

from __future__ import annotations

from dataclasses import dataclass

from psycopg import sql

from crossfade.errors import InvalidInput
from crossfade.stores.pgvector.address import Address
from crossfade.stores.pgvector.connections import Connection
from crossfade.stores.pgvector.extension import Extension
from crossfade.stores.pgvector.users_table import KEY_TYPES

__all__ = ["Survey", "key_type_of", "survey", "table_exists"]

_COLUMNS = """
SELECT a.attname, format_type(a.atttypid, NULL), a.atttypid::bigint, a.atttypmod, a.attnotnull
FROM pg_attribute a WHERE a.attrelid = %s::regclass AND a.attnum > 0 AND NOT a.attisdropped
"""
_KIND = """
SELECT c.relkind = 'r' FROM pg_class c JOIN pg_namespace n ON n.oid = c.relnamespace
WHERE n.nspname = %s AND c.relname = %s
"""
_UNIQUE = """
SELECT 1 FROM pg_index i
JOIN pg_attribute a ON a.attrelid = i.indrelid AND a.attnum = i.indkey[0]
WHERE i.indrelid = %s::regclass AND a.attname = %s AND i.indisunique AND i.indisvalid
AND i.indimmediate AND i.indnkeyatts = 1 AND i.indpred IS NULL
"""


@dataclass(frozen=True)
class Survey:
    """What matters of a table: the type of its ids, the width of its vectors."""

    key_type: str
    dim: int


def table_exists(connection: Connection, address: Address) -> bool:
    """Whether something of that name is there."""
    return connection.execute(_KIND, (address.schema, address.table)).fetchone() is not None


def key_type_of(connection: Connection, address: Address, column: str) -> str:
    """The type of an id column."""
    rows = connection.execute(_COLUMNS, (_name(address),)).fetchall()
    types = {name: type for name, type, *_ in rows}
    if column not in types:
        raise InvalidInput(f"{address} has no column {column!r}; it has {sorted(types)}")
    if types[column] not in KEY_TYPES:
        raise InvalidInput(
            f"column {column!r} of {address} is of type {types[column]}, wanted one of "
            f"{sorted(KEY_TYPES)} for ids"
        )
    return str(types[column])


def survey(connection: Connection, address: Address, extension: Extension) -> Survey:
    """Check that a table can be attached, with the columns that the address names.

    Raises:
        InvalidInput: it can't; the message says why.
    """
    assert address.id is not None and address.old is not None
    kind = connection.execute(_KIND, (address.schema, address.table)).fetchone()
    if kind is None:
        raise InvalidInput(
            f"{address.database} has no table {address.table!r} in schema {address.schema!r}; "
            "check the names, or leave id= and old= out to have one created"
        )
    if not kind[0]:
        raise InvalidInput(f"{address} is no plain table; views and partitions can't be attached")
    rows = connection.execute(_COLUMNS, (_name(address),)).fetchall()
    columns = {name: rest for name, *rest in rows}
    if taken := sorted(name for name in columns if name.startswith("crossfade_")):
        raise InvalidInput(f"{address} has columns that we would add, {taken}; rename them first")
    key_type = key_type_of(connection, address, address.id)
    is_unique = connection.execute(_UNIQUE, (_name(address), address.id)).fetchone() is not None
    if not is_unique or not columns[address.id][3]:
        raise InvalidInput(
            f"column {address.id!r} of {address} is no key: it needs a primary key, or a unique "
            "index and NOT NULL"
        )
    if address.old not in columns:
        raise InvalidInput(f"{address} has no column {address.old!r}; it has {sorted(columns)}")
    type_name, type_oid, modifier, _ = columns[address.old]
    if type_oid != extension.oid:
        raise InvalidInput(
            f"column {address.old!r} of {address} is of type {type_name}, wanted pgvector's vector"
        )
    dim = modifier if modifier > 0 else _width(connection, address, extension)
    _refuse_zeros(connection, address, extension)
    return Survey(key_type, dim)


def _width(connection: Connection, address: Address, extension: Extension) -> int:
    """The width of the vectors of a column that declares none."""
    row = connection.execute(
        _on(
            address,
            "SELECT min({dims}({old})), max({dims}({old})) FROM {table}",
            dims=extension.name("vector_dims"),
        )
    ).fetchone()
    assert row is not None
    if row[0] is None or row[0] != row[1]:
        raise InvalidInput(
            f"column {address.old!r} of {address} declares no width and holds vectors of "
            f"{'none' if row[0] is None else f'{row[0]} to {row[1]}'} dimensions; "
            "declare it: ALTER COLUMN ... TYPE vector(DIM)"
        )
    return int(row[0])


def _refuse_zeros(connection: Connection, address: Address, extension: Extension) -> None:
    row = connection.execute(
        _on(
            address,
            "SELECT {id}::text FROM {table} WHERE {norm}({old}) = 0 LIMIT 1",
            norm=extension.name("vector_norm"),
        )
    ).fetchone()
    if row is not None:
        raise InvalidInput(
            f"the row with {address.id} {row[0]} of {address} holds the zero vector, which has no "
            "direction and no cosine; set it to NULL"
        )


def _on(address: Address, form: str, **more: sql.Composable) -> sql.Composed:
    return sql.SQL(form).format(
        table=sql.Identifier(address.schema, address.table),
        id=sql.Identifier(str(address.id)),
        old=sql.Identifier(str(address.old)),
        **more,
    )


def _name(address: Address) -> str:
    return sql.Identifier(address.schema, address.table).as_string()
