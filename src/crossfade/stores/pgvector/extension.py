"""The pgvector extension of a database: where it is, and its names in statements."""

from __future__ import annotations

from dataclasses import dataclass

from psycopg import sql

from crossfade.errors import StoreError
from crossfade.stores.pgvector.address import Address
from crossfade.stores.pgvector.connections import Connections

__all__ = ["Extension", "find_extension"]

_FIND = """
SELECT n.nspname, t.oid::bigint, e.extversion
FROM pg_extension e
JOIN pg_namespace n ON n.oid = e.extnamespace
JOIN pg_type t ON t.typnamespace = n.oid AND t.typname = 'vector'
WHERE e.extname = 'vector'
"""
_OLDEST = (0, 8)


@dataclass(frozen=True)
class Extension:
    """All names are written with their schema: the search path is the user's business.

    Attributes:
        schema: where the extension's objects are.
        oid: the number of the type ``vector``.
    """

    schema: str
    oid: int

    def name(self, name: str) -> sql.Identifier:
        """One of the extension's types, functions or operator classes."""
        return sql.Identifier(self.schema, name)

    def operator(self, symbol: str) -> sql.Composed:
        """One of the extension's operators."""
        return sql.SQL("OPERATOR({}.{})").format(sql.Identifier(self.schema), sql.SQL(symbol))


def find_extension(connections: Connections, address: Address) -> Extension:
    """The extension of the database.

    Raises:
        StoreError: it is not there, or too old to search with filters.
    """
    found = connections.execute(sql.SQL(_FIND))
    if not found:
        raise StoreError(
            f"the extension pgvector is not enabled in {address.database}; install it on the "
            "server and run, as a role that may: CREATE EXTENSION vector"
        )
    schema, oid, version = found[0]
    if tuple(int(part) for part in version.split(".")[:2]) < _OLDEST:
        raise StoreError(
            f"{address.database} has pgvector {version}, wanted 0.8 or later; update the package "
            "on the server and run: ALTER EXTENSION vector UPDATE"
        )
    return Extension(schema, oid)
