"""Items as rows of a table, and back.

key            the id as a text, see terms
version        of the item
payload        JSON
labels, number_names, number_values     the payload's fields, for filters
space1, ...    a vector, or NULL; the column's metadata says of which space
"""

from __future__ import annotations

import json
import secrets
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import pyarrow as pa

from crossfade.embeddings import FloatArray, Space
from crossfade.errors import StoreError
from crossfade.stores.base import Draft, Item, VectorWrite
from crossfade.stores.fields import labels, numbers
from crossfade.stores.lancedb.terms import id_of, key_of

__all__ = [
    "FIRST_COLUMNS",
    "StoredSpace",
    "draft_rows",
    "items_of",
    "new_column",
    "stored_spaces",
    "vector_rows",
]

FIRST_COLUMNS = pa.schema(
    [
        pa.field("key", pa.string(), nullable=False),
        pa.field("version", pa.int64()),
        pa.field("payload", pa.string()),
        pa.field("labels", pa.list_(pa.string())),
        pa.field("number_names", pa.list_(pa.string())),
        pa.field("number_values", pa.list_(pa.float64())),
    ]
)
_SPACE = b"crossfade.space"
_COLUMN = "space"


@dataclass(frozen=True)
class StoredSpace:
    """A space and the column of its vectors."""

    space: Space
    column: str


def stored_spaces(schema: pa.Schema) -> dict[str, StoredSpace]:
    """The spaces of a table, by name.

    Raises:
        StoreError: it is not one of our tables.
    """
    if not set(FIRST_COLUMNS.names) <= set(schema.names):
        raise StoreError(
            f"the table has the columns {schema.names}, wanted {FIRST_COLUMNS.names}; "
            "it was not written by this store, name another"
        )
    fields = [field for field in schema if _SPACE in (field.metadata or {})]
    return {
        name: StoredSpace(Space(name, field.type.list_size), field.name)
        for field in fields
        for name in [field.metadata[_SPACE].decode()]
    }


def new_column(space: Space, schema: pa.Schema) -> pa.Field:
    """The column for a new space."""
    used = [int(name.removeprefix(_COLUMN)) for name in schema.names if name.startswith(_COLUMN)]
    name = f"{_COLUMN}{max(used, default=0) + 1}"
    return pa.field(name, _vector_type(space.dim), metadata={_SPACE: space.name.encode()})


def draft_rows(drafts: Sequence[Draft], schema: pa.Schema) -> pa.Table:
    """Rows of a table with that schema."""
    columns: dict[str, Any] = {
        "key": [key_of(draft.id) for draft in drafts],
        # Random, not counted: a version seen before a crash must not come again after it.
        "version": [secrets.randbits(62) for _ in drafts],
        "payload": [json.dumps(draft.payload) for draft in drafts],
        "labels": [labels(draft.payload) for draft in drafts],
        "number_names": [list(numbers(draft.payload)) for draft in drafts],
        "number_values": [list(numbers(draft.payload).values()) for draft in drafts],
    }
    for name, stored in stored_spaces(schema).items():
        columns[stored.column] = _vectors(
            [draft.vectors.get(name) for draft in drafts], stored.space.dim
        )
    return pa.table(columns, schema=pa.schema([schema.field(name) for name in columns]))


def vector_rows(stored: StoredSpace, writes: Sequence[VectorWrite]) -> pa.Table:
    """Rows that hold nothing but the key, the version and the vector."""
    return pa.table(
        {
            "key": [key_of(write.id) for write in writes],
            "version": pa.array([write.version for write in writes], pa.int64()),
            stored.column: _vectors([write.vector for write in writes], stored.space.dim),
        }
    )


def items_of(rows: pa.Table, spaces: Mapping[str, StoredSpace]) -> list[Item]:
    """The items of rows; vectors and payload of the columns that were read."""
    held = {
        name: (stored, rows[stored.column].combine_chunks())
        for name, stored in spaces.items()
        if stored.column in rows.column_names
    }
    matrices = {
        name: column.values.to_numpy(zero_copy_only=False).reshape(-1, stored.space.dim)
        for name, (stored, column) in held.items()
    }
    keys, versions = rows["key"].to_pylist(), rows["version"].to_pylist()
    is_read = "payload" in rows.column_names
    payloads = rows["payload"].to_pylist() if is_read else ["{}"] * len(rows)
    return [
        Item(
            id_of(keys[row]),
            versions[row],
            {
                name: np.array(matrices[name][column.offset + row], dtype=np.float32)
                for name, (_, column) in held.items()
                if column[row].is_valid
            },
            json.loads(payloads[row]),
        )
        for row in range(len(rows))
    ]


def _vectors(vectors: Sequence[FloatArray | None], dim: int) -> pa.Array:
    missing = np.array([vector is None for vector in vectors], dtype=bool)
    rows = np.zeros((len(vectors), dim), dtype=np.float32)
    for row, vector in enumerate(vectors):
        if vector is not None:
            rows[row] = vector
    flat = pa.array(rows.reshape(-1), pa.float32())
    return pa.FixedSizeListArray.from_arrays(flat, type=_vector_type(dim), mask=pa.array(missing))


def _vector_type(dim: int) -> pa.DataType:
    return pa.list_(pa.float32(), dim)
