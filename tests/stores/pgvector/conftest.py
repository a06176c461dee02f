"""A fresh table for each test."""

import itertools
from collections.abc import Iterator

import pytest
from users_items import NEW, OLD, UsersItems

from crossfade.stores import Store, open_store
from crossfade.stores.pgvector.attach import attach
from crossfade.testing import PostgresServer

_NUMBERS = itertools.count()


@pytest.fixture
def uri(postgres: PostgresServer) -> str:
    """A table that is not there yet."""
    return postgres.uri(table=f"test_{next(_NUMBERS)}")


@pytest.fixture
def store(uri: str) -> Iterator[Store]:
    """An empty collection."""
    with open_store(uri) as store:
        yield store


@pytest.fixture
def items(postgres: PostgresServer) -> Iterator[UsersItems]:
    """A table that somebody else has made."""
    items = UsersItems(postgres, f"shop_{next(_NUMBERS)}")
    yield items
    items.connection.close()


@pytest.fixture
def attached(items: UsersItems) -> Iterator[Store]:
    """That table as a store, with room for new vectors."""
    with attach(items.uri, id="id", old_vector="embedding", space=OLD) as store:
        store.ensure_space(NEW)
        yield store
