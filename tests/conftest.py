"""What all tests share."""

import sys
from collections.abc import Iterator

import pytest
from hypothesis import settings

from crossfade.testing import PostgresServer

# A busy machine must not fail a law: no test is timed.
settings.register_profile("untimed", deadline=None)
settings.load_profile("untimed")


@pytest.fixture(scope="session")
def postgres() -> Iterator[PostgresServer]:
    """A PostgreSQL server with pgvector, one for all tests that ask for it."""
    with PostgresServer() as server:
        yield server


@pytest.fixture(autouse=True)
def _repeatable() -> None:
    """Random tensors are the same in every run, if anything has imported PyTorch yet."""
    if (torch := sys.modules.get("torch")) is not None:
        torch.manual_seed(0)
