"""``postgresql://USER@HOST:PORT/DB?table=NAME``: PostgreSQL with the pgvector extension.

    postgresql://me@db.example/shop?table=gallery                  a table of Crossfade's own
    postgresql://me@db.example/shop?table=items&id=id&old=embedding    the user's own table

The first form creates the table if there is none. The second takes a table as it is: ``id`` and
``old`` name its key and its vectors, its other columns are the payload; see
:mod:`crossfade.stores.pgvector.attach`. Further parameters: ``schema`` (``public``), ``space``
(the name of the old vectors' space, by default their column's) and those of PostgreSQL's own
connection URIs, such as ``sslmode``. A password is better kept in ``PGPASSWORD`` or in a
password file; in a URI it is never shown, logged or stored.
"""

from __future__ import annotations

from crossfade.errors import MissingExtra
from crossfade.stores.base import Capabilities, Guard, Store

__all__ = ["CAPABILITIES", "open_store"]

CAPABILITIES = Capabilities(
    scheme="postgresql",
    persistent=True,
    approximate=True,
    server=True,
    extra="pgvector",
    uri="postgresql://USER@HOST:PORT/DB?table=NAME",
    package="psycopg",
    atomic_batches=True,
    conditional_write=Guard.STORE,
    several_processes=True,
    tested_against="PostgreSQL 18, pgvector 0.8",
)


def open_store(location: str, *, create: bool = True) -> Store:
    """Open or create the collection in a table.

    Args:
        location: what follows ``postgresql://``.
        create: make the table a collection if it is none yet.

    Raises:
        MissingExtra: the driver is not installed.
        InvalidInput: the URI is not of the form above.
        StoreUnavailable: the server can't be reached for now.
        StoreError: no such database, missing rights, no pgvector, or a foreign table.
    """
    try:
        import psycopg  # noqa: F401 - is it there?
    except ImportError as error:
        raise MissingExtra("the postgresql:// store", "pgvector") from error
    from crossfade.stores.pgvector.address import Address
    from crossfade.stores.pgvector.attach import open_address

    return open_address(Address.parse(location), create=create)
