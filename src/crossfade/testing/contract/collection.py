"""The collection that each test of the contract works on."""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Iterator
from pathlib import Path

import pytest

from crossfade.stores import Store
from crossfade.testing.contract.values import NEW, OLD

__all__ = ["Collection"]


class Collection(ABC):
    """How a store is opened, and an empty one with two spaces."""

    @abstractmethod
    def open_store(self, place: Path) -> Store:
        """Open or create the collection at a place."""

    @pytest.fixture
    def place(self, tmp_path: Path) -> Path:
        """Where this test's collection is."""
        return tmp_path / "collection"

    @pytest.fixture
    def store(self, place: Path) -> Iterator[Store]:
        """An empty collection with two spaces."""
        store = self.open_store(place)
        store.ensure_space(OLD)
        store.ensure_space(NEW)
        yield store
        store.close()
