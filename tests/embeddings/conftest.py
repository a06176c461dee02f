"""A file to record queries in."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest
from recorded_queries import settled

from crossfade.embeddings import recorder as module


@pytest.fixture
def path(tmp_path: Path) -> Iterator[Path]:
    yield tmp_path / "queries.npz"
    settled()


@pytest.fixture
def without_rest(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(module, "_REST_SECONDS", 0.0)
