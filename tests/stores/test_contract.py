"""Every store passes the shipped contract."""

import hashlib
import os
from collections.abc import Iterator
from pathlib import Path

import pytest
from local_qdrant import local_store
from qdrant_client import QdrantClient

from crossfade.stores import Store, open_store
from crossfade.stores.qdrant_server import API_KEY
from crossfade.testing import PostgresServer, StoreContract

SERVER = "CROSSFADE_QDRANT_URL"
"""The URL of a server of Qdrant to run the contract against, e.g. http://localhost:6333."""


class TestMemory(StoreContract):
    # A named collection is shared by all who opened it, so closing one handle ends nothing.
    test_a_closed_store_refuses_work = None  # type: ignore[assignment]

    def open_store(self, place: Path) -> Store:
        return open_store(f"memory://{place}")


class TestQdrant(StoreContract):
    def open_store(self, place: Path) -> Store:
        return open_store(f"qdrant://{place}")


class TestFaiss(StoreContract):
    def open_store(self, place: Path) -> Store:
        return open_store(f"faiss://{place}")


class TestPgvector(StoreContract):
    @pytest.fixture(autouse=True)
    def server(self, postgres: PostgresServer) -> None:
        self.postgres = postgres

    def open_store(self, place: Path) -> Store:
        table = "contract_" + hashlib.sha256(str(place).encode()).hexdigest()[:16]
        return open_store(self.postgres.uri(table=table))


class TestLanceDB(StoreContract):
    def open_store(self, place: Path) -> Store:
        return open_store(f"lancedb://{place}")


@pytest.mark.filterwarnings("ignore:Local mode performs exact")
class TestQdrantClient(StoreContract):
    """The store of a server on the client's local mode, which has the server's semantics."""

    def open_store(self, place: Path) -> Store:
        return local_store(place)


if SERVER in os.environ:

    class TestQdrantServer(StoreContract):
        def open_store(self, place: Path) -> Store:
            collection = "contract_" + hashlib.sha256(str(place).encode()).hexdigest()[:16]
            self.collections.add(collection)
            return open_store(f"qdrant+{os.environ[SERVER].rstrip('/')}/{collection}")

        @pytest.fixture(autouse=True)
        def tidy(self) -> Iterator[None]:
            self.collections: set[str] = set()
            yield
            with QdrantClient(url=os.environ[SERVER], api_key=os.environ.get(API_KEY)) as client:
                for collection in self.collections:
                    client.delete_collection(collection)
