"""How a table is laid out: the one thing in which our tables and the user's differ."""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Iterable, Mapping, Sequence
from typing import Any

from psycopg import sql

from crossfade.stores.base import Draft, Id
from crossfade.stores.pgvector import binary
from crossfade.stores.pgvector.catalog import VectorColumn
from crossfade.stores.pgvector.extension import Extension
from crossfade.stores.pgvector.session import Session

__all__ = ["Layout", "Value", "held_columns"]

Value = tuple[sql.Composable, list[Any]]
"""An expression of a statement, and its parameters."""


class Layout(ABC):
    """A table's key, version and payload, and how items are written to it.

    Attributes:
        table: the table's name.
        key: the column of ids, for statements with parameters; key_name: its bare name.
        version: the column of versions.
        order: ids in the order in which ties are broken.
        key_type, key_oid: the type of keys in arrays of them, by name and by number.
        begin_writing: what a transaction of our own writes begins with, if anything.
        read_fields: a statement for the names of payload columns, if they are columns.
        has_plain_keys: whether the keys are :func:`crossfade.stores.id_bytes` of the ids.
    """

    table: sql.Identifier
    key: sql.Identifier
    key_name: str
    version: sql.Identifier
    order: sql.Composable
    key_type: sql.SQL
    key_oid: int
    begin_writing: sql.SQL | None = None
    read_fields: sql.Composable | None = None
    has_plain_keys = False

    def __init__(self, extension: Extension) -> None:
        self.extension = extension

    @abstractmethod
    def dump_key(self, id: Id) -> bytes | None:
        """A plain id's key in binary form; None if the table can't hold such an id."""

    @abstractmethod
    def load_key(self, key: Any) -> Id:
        """The id of a key as read."""

    @abstractmethod
    def payload(self, session: Session) -> sql.Composable:
        """An expression for the payload as JSON text."""

    @abstractmethod
    def load_payloads(self, texts: Sequence[str]) -> list[dict[str, Any]]:
        """The payloads of those texts."""

    @abstractmethod
    def storable_text(self, text: str) -> str | None:
        """A text of a payload as it is stored; None if it can't be."""

    @abstractmethod
    def field(self, name: str, session: Session) -> Value:
        """An expression of type jsonb for a payload field; NULL if there is none."""

    @abstractmethod
    def put(self, session: Session, drafts: Sequence[Draft]) -> None:
        """Write whole items in the transaction."""

    @abstractmethod
    def columns_changed(self, session: Session, columns: Sequence[VectorColumn]) -> None:
        """Called when a vector column has been added or dropped, in the same transaction."""

    @abstractmethod
    def give_back(self, session: Session) -> None:
        """Remove from a table of the user's all that is ours.

        Raises:
            InvalidInput: it is ours altogether.
        """

    def keys(self, ids: Iterable[Id]) -> binary.Raw:
        """An array of the keys of all ids that the table can hold."""
        keys = (self.dump_key(id) for id in ids)
        return binary.array_of([key for key in keys if key is not None], self.key_oid)

    def vectors(self, column: VectorColumn, drafts: Sequence[Draft]) -> binary.Raw:
        """An array of the drafts' vectors of a space."""
        rows = [draft.vectors.get(column.space.name) for draft in drafts]
        return binary.array_of_vectors(rows, column.space.dim, self.extension.oid)


def held_columns(
    columns: Mapping[str, VectorColumn], drafts: Sequence[Draft]
) -> tuple[list[VectorColumn], list[VectorColumn]]:
    """The columns of which some draft holds a vector, and the others."""
    names = {name for draft in drafts for name in draft.vectors}
    held = [column for name, column in columns.items() if name in names]
    return held, [column for name, column in columns.items() if name not in names]
