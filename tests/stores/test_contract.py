"""Every store passes the shipped contract."""

from pathlib import Path

from crossfade.stores import Store, open_store
from crossfade.testing.store_contract import StoreContract


class TestMemory(StoreContract):
    def open_store(self, place: Path) -> Store:
        return open_store(f"memory://{place}")


class TestQdrant(StoreContract):
    def open_store(self, place: Path) -> Store:
        return open_store(f"qdrant://{place}")
