"""Opening a collection, and taking a table of the user's own into use and giving it back.

An attached table stays the user's: its key and old vectors are used where they are, its other
columns are the payload. Added are the column ``crossfade_version``, a column for each further
space, indexes and a trigger; :func:`detach` removes them all.

The trigger lets the user's own SQL go on at every step: rows that it inserts are on the old
side, rows whose content it changes go back there, and no older backfill write comes after it.
The column of old vectors is never dropped, not even when the upgrade is finished.
"""

from __future__ import annotations

from dataclasses import replace

from psycopg import sql

from crossfade.embeddings import Space
from crossfade.errors import InvalidInput, StoreError
from crossfade.stores.base import Store
from crossfade.stores.pgvector.address import Address
from crossfade.stores.pgvector.catalog import Catalog, Collection
from crossfade.stores.pgvector.connections import Connection, Connections
from crossfade.stores.pgvector.extension import Extension, find_extension
from crossfade.stores.pgvector.layout import Layout
from crossfade.stores.pgvector.own_table import OwnTable
from crossfade.stores.pgvector.session import Session
from crossfade.stores.pgvector.store import PgvectorStore
from crossfade.stores.pgvector.survey import key_type_of, survey, table_exists
from crossfade.stores.pgvector.users_table import VERSION, UsersTable

__all__ = ["attach", "detach", "open_address"]

_LOCK_SECONDS = 10


def attach(uri: str, *, id: str, old_vector: str, space: Space | None = None) -> PgvectorStore:
    """Take a table of the user's own into use, in place. Doing it again is harmless.

    Args:
        uri: ``postgresql://...?table=NAME``.
        id: the column of ids, a primary key or unique: integers, text or UUIDs.
        old_vector: the column of old vectors, of pgvector's type ``vector``.
        space: the old model's space; by default it has the column's name and width.

    Raises:
        InvalidInput: no such table or columns, or of other types; nothing is changed.
        SpaceMismatch: the column holds vectors of another width.
        StoreError: the role may not change the table, or it is attached otherwise already.
    """
    address = Address.parse(uri.partition("://")[2], id=id, old=old_vector)
    if space is not None:
        address = replace(address, space=space.name, dim=space.dim)
    return open_address(address)


def detach(uri_or_store: str | Store) -> None:
    """Leave an attached table as it was found: all that was added goes, the new vectors too.

    A store given is closed.

    Raises:
        InvalidInput: it is no attached table.
    """
    if isinstance(uri_or_store, str):
        store: Store = open_address(Address.parse(uri_or_store.partition("://")[2]), create=False)
    else:
        store = uri_or_store
    if not isinstance(store, PgvectorStore):
        raise InvalidInput(f"{store!r} is no table of PostgreSQL; only those are attached")
    with store:
        store.give_back()


def open_address(address: Address, *, create: bool = True) -> PgvectorStore:
    """The collection in a table.

    Args:
        create: make the table a collection if it is none yet.
    """
    connections = Connections(address)
    try:
        extension = find_extension(connections, address)
        catalog = Catalog(connections, address)
        collection = _find(connections, catalog) if catalog.is_there() else None
        if collection is None and create:
            collection = _start(connections, catalog, address, extension)
        if collection is None:
            raise InvalidInput(f"{address} is no collection; nothing was attached there")
        _require_same(address, collection)
        layout = _layout(connections, address, collection, extension)
        store = PgvectorStore(address, connections, catalog, layout)
        if create and address.id is not None:
            store.finish_attaching()
        return store
    except BaseException:
        connections.close()
        raise


def _find(connections: Connections, catalog: Catalog) -> Collection | None:
    return connections.run(sql.SQL("SELECT"), lambda connection, _: catalog.find(connection))


def _start(
    connections: Connections, catalog: Catalog, address: Address, extension: Extension
) -> Collection:
    """Make a collection of the table, or find the one that somebody else has just made."""

    def work(connection: Connection, _: object) -> Collection:
        catalog.create(connection)
        if (found := catalog.find(connection)) is not None:
            return found
        if address.id is None or address.old is None:
            return _start_own(connection, catalog, OwnTable(extension, address), address)
        return _start_users(connection, catalog, address, extension)

    begin = sql.SQL("SET LOCAL lock_timeout = {}; {}").format(
        sql.Literal(f"{_LOCK_SECONDS}s"), catalog.lock()
    )
    return connections.run(begin, work)


def _start_own(
    connection: Connection, catalog: Catalog, table: OwnTable, address: Address
) -> Collection:
    if table_exists(connection, address):
        raise StoreError(
            f"table {address.table!r} is there already and is not Crossfade's; to use it in place "
            "add its columns to the URI, id=COLUMN&old=COLUMN, or else name another table"
        )
    collection = Collection(None, None)
    table.create(connection)
    catalog.add(connection, collection)
    return collection


def _start_users(
    connection: Connection, catalog: Catalog, address: Address, extension: Extension
) -> Collection:
    collection = Collection(address.id, address.old)
    found = survey(connection, address, extension)
    layout = UsersTable(extension, address, collection, found.key_type)
    connection.execute(
        sql.SQL("ALTER TABLE {} ADD COLUMN {} bigint NOT NULL DEFAULT 0").format(
            layout.table, sql.Identifier(VERSION)
        )
    )
    layout.add_trigger(Session(connection, {}))
    catalog.add(connection, collection)
    space = Space(address.space or str(address.old), found.dim)
    if address.dim is not None:
        space.require(Space(space.name, address.dim))
    catalog.add_space(connection, space, column=address.old)
    return collection


def _layout(
    connections: Connections, address: Address, collection: Collection, extension: Extension
) -> Layout:
    if collection.id_column is None:
        return OwnTable(extension, address)
    column = collection.id_column
    key_type = connections.run(
        sql.SQL("SELECT"), lambda connection, _: key_type_of(connection, address, column)
    )
    return UsersTable(extension, address, collection, key_type)


def _require_same(address: Address, collection: Collection) -> None:
    if address.id is None or (address.id, address.old) == (
        collection.id_column,
        collection.old_column,
    ):
        return
    if collection.id_column is None:
        raise StoreError(f"{address} is a table of Crossfade's own; leave id= and old= out")
    raise StoreError(
        f"{address} is attached with id={collection.id_column!r} and "
        f"old={collection.old_column!r}; detach it first"
    )
