"""A cache of each test's own, and a narrator that remembers."""

from __future__ import annotations

from pathlib import Path

import pytest
from bench_worlds import Told


@pytest.fixture
def told() -> Told:
    return Told()


@pytest.fixture(autouse=True)
def cache(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A cache of the test's own."""
    monkeypatch.setenv("CROSSFADE_CACHE", str(tmp_path / "cache"))
    return tmp_path / "cache"
