"""A fresh table for each test."""

import itertools
from collections.abc import Iterator

import pytest
from users_items import UsersItems

from crossfade.stores import Store, open_store
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
