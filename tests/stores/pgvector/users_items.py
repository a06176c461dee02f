"""A table as pgvector's tutorials make it, with rows; and a picture of all that a schema holds."""

from __future__ import annotations

from typing import Any

import numpy as np

from crossfade.embeddings import FloatArray, Space, normalise
from crossfade.stores import Item, Outcome, Store, VectorWrite
from crossfade.testing import PostgresServer

DIM = 12
N = 60
OLD, NEW = Space("old", DIM), Space("new", 5)
PICTURES = {
    "columns": "SELECT c.relname, a.attname, format_type(a.atttypid, a.atttypmod), a.attnotnull, "
    "pg_get_expr(d.adbin, d.adrelid), a.attstorage FROM pg_attribute a "
    "JOIN pg_class c ON c.oid = a.attrelid LEFT JOIN pg_attrdef d "
    "ON d.adrelid = a.attrelid AND d.adnum = a.attnum "
    "WHERE c.relnamespace = %(schema)s::regnamespace AND a.attnum > 0 AND NOT a.attisdropped",
    "relations": "SELECT relname, relkind, reloptions FROM pg_class "
    "WHERE relnamespace = %(schema)s::regnamespace",
    "indexes": "SELECT indexdef FROM pg_indexes WHERE schemaname = %(schema)s",
    "triggers": "SELECT pg_get_triggerdef(t.oid) FROM pg_trigger t JOIN pg_class c "
    "ON c.oid = t.tgrelid WHERE c.relnamespace = %(schema)s::regnamespace",
    "functions": "SELECT pg_get_functiondef(oid) FROM pg_proc "
    "WHERE pronamespace = %(schema)s::regnamespace",
    "constraints": "SELECT conname, pg_get_constraintdef(oid) FROM pg_constraint "
    "WHERE connamespace = %(schema)s::regnamespace",
    "rows": "SELECT * FROM {schema}.items ORDER BY id",
}


class UsersItems:
    """The table ``items`` in a schema of its own, and the user at work on it."""

    def __init__(self, server: PostgresServer, schema: str) -> None:
        self.schema = schema
        self._server = server
        self.connection = server.connect()
        self.sql(f"CREATE SCHEMA {schema}")
        self.sql(f"SET search_path = {schema}, public")
        self.sql(
            "CREATE TABLE items (id bigserial PRIMARY KEY, content text, category text, "
            f"price numeric, embedding vector({DIM}))"
        )
        rng = np.random.default_rng(0)
        # Of any length, as many models give them.
        self.vectors = (rng.normal(size=(N, DIM)) * rng.uniform(0.1, 9, (N, 1))).astype(np.float32)
        for row, vector in enumerate(self.vectors):
            self.sql(
                "INSERT INTO items (content, category, price, embedding) VALUES (%s, %s, %s, %s)",
                f"text {row}",
                "even" if row % 2 == 0 else None,
                row / 4,
                text(vector),
            )
        self.sql("CREATE INDEX ON items (category)")
        self.sql("CREATE INDEX ON items USING hnsw (embedding vector_cosine_ops)")

    @property
    def uri(self) -> str:
        """Without the columns."""
        return self._server.uri(table="items", schema=self.schema)

    @property
    def attached_uri(self) -> str:
        """With the columns: opening it attaches."""
        return self._server.uri(
            table="items", schema=self.schema, id="id", old="embedding", space="old"
        )

    def sql(self, statement: str, *given: Any) -> list[tuple[Any, ...]]:
        """The user's own SQL."""
        cursor = self.connection.execute(statement, given or None)
        return list(cursor.fetchall()) if cursor.description else []

    def closest(self, query: FloatArray, k: int) -> list[tuple[int, float]]:
        """The old system: ids and cosines of the closest rows, exactly."""
        with self.connection.transaction():
            self.sql("SET LOCAL enable_indexscan = off")
            return self.sql(
                "SELECT id, 1 - (embedding <=> %s) FROM items WHERE embedding IS NOT NULL "
                "ORDER BY embedding <=> %s, id LIMIT %s",
                text(query),
                text(query),
                k,
            )

    def insert(self, content: str, vector: FloatArray | None = None) -> int:
        """A row of the user's."""
        vector = self.vectors[0] if vector is None else vector
        ((id,),) = self.sql(
            "INSERT INTO items (content, embedding) VALUES (%s, %s) RETURNING id",
            content,
            text(vector),
        )
        return int(id)

    def picture(self) -> dict[str, list[str]]:
        """All that the schema holds."""
        return {
            what: sorted(
                str(row)
                for row in self.connection.execute(
                    statement.replace("{schema}", self.schema),
                    {"schema": self.schema} if "%(schema)s" in statement else None,
                )
            )
            for what, statement in PICTURES.items()
        }


def text(vector: FloatArray) -> str:
    """As SQL takes it."""
    return str([float(value) for value in vector])


def some_unit_rows(n: int, dim: int, seed: int) -> FloatArray:
    """Random directions."""
    return normalise(np.random.default_rng(seed).normal(size=(n, dim)).astype(np.float32))


def read(store: Store, id: int | str, *vectors: str) -> Item:
    """An item that must be there."""
    (item,) = store.get([id], vectors=vectors)
    assert item is not None
    return item


def attach_new(store: Store, item: Item) -> Outcome:
    """Write a new vector to an item as it was read."""
    (outcome,) = store.set_vectors(
        "new", [VectorWrite(item.id, item.version, some_unit_rows(1, NEW.dim, 1)[0])]
    )
    return outcome
