"""The journal that each test of the contract works on."""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Iterator
from pathlib import Path

import pytest

from crossfade.backfill.journal import Journal
from crossfade.testing.journal.steps import IDS, fill

__all__ = ["FilledJournal"]


class FilledJournal(ABC):
    """How a journal is opened, and one with a full queue.

    Attributes:
        short_seconds: after which workers die here; longer than a few calls take.
    """

    short_seconds = 0.05

    @abstractmethod
    def open_journal(self, place: Path) -> Journal:
        """Open or create the journal at a place."""

    @pytest.fixture
    def place(self, tmp_path: Path) -> Path:
        """Where this test's journal is."""
        return tmp_path / "journal"

    @pytest.fixture
    def journal(self, place: Path) -> Iterator[Journal]:
        """A job whose queue holds IDS in this order."""
        journal = self.open_journal(place)
        fill(journal, IDS)
        yield journal
        journal.close()
