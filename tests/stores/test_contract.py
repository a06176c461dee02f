"""Every store passes the shipped contract."""

import hashlib
from pathlib import Path

import pytest

from crossfade.stores import Store, open_store
from crossfade.testing import PostgresServer, StoreContract


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
