"""What all tests share."""

import sys
from collections.abc import Callable, Iterator
from importlib import import_module

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


@pytest.fixture
def carry_few_pairs(monkeypatch: pytest.MonkeyPatch) -> Callable[[int, int], None]:
    """Makes kernel maps of more than so many pairs ones of very many, with so many landmarks."""

    def carry(most: int, landmarks: int) -> None:
        kernel, auto = (import_module(f"crossfade.fit.{name}") for name in ("kernel", "auto"))
        for module in (kernel, auto):
            monkeypatch.setattr(module, "MOST_CARRIED", most)
        bounds = {**kernel.kernel_of_pairs.__kwdefaults__, "most_landmarks": landmarks}
        monkeypatch.setattr(kernel.kernel_of_pairs, "__kwdefaults__", bounds)

    return carry
