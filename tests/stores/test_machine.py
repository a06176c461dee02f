"""Random operations give the same answers on every store as on the oracle."""

import itertools
import tempfile
from collections.abc import Callable
from pathlib import Path

import pytest
from hypothesis import HealthCheck, settings
from hypothesis.stateful import run_state_machine_as_test
from local_qdrant import local_store

from crossfade.stores import Store, open_store
from crossfade.stores.memory import MemoryStore
from crossfade.testing import PostgresServer, store_machine

TABLES = itertools.count()
FILE_STORES = ["qdrant", "faiss", "lancedb"]
QUIET = [HealthCheck.too_slow, HealthCheck.data_too_large, HealthCheck.filter_too_much]


def play(new_uri: Callable[[], str], games: int, steps: int) -> None:
    """Games on a persistent store, closed and opened again in between."""
    places: dict[int, str] = {}

    def opened(uri: str) -> Store:
        store = open_store(uri)
        places[id(store)] = uri
        return store

    def open_new() -> Store:
        return opened(new_uri())

    def reopen(store: Store) -> Store:
        store.close()
        return opened(places.pop(id(store)))

    run_state_machine_as_test(  # type: ignore[no-untyped-call]
        store_machine(open_new, reopen),
        settings=settings(
            max_examples=games,
            stateful_step_count=steps,
            deadline=None,
            suppress_health_check=QUIET,
        ),
    )


def test_two_oracles_agree() -> None:
    run_state_machine_as_test(  # type: ignore[no-untyped-call]
        store_machine(MemoryStore),
        settings=settings(max_examples=30, deadline=None, suppress_health_check=QUIET),
    )


@pytest.mark.parametrize("scheme", FILE_STORES)
def test_a_store_agrees_with_the_oracle(tmp_path: Path, scheme: str) -> None:
    play(lambda: f"{scheme}://{tempfile.mkdtemp(dir=tmp_path)}", games=6, steps=25)


@pytest.mark.slow
@pytest.mark.parametrize("scheme", FILE_STORES)
def test_a_store_agrees_with_the_oracle_in_long_games(tmp_path: Path, scheme: str) -> None:
    play(lambda: f"{scheme}://{tempfile.mkdtemp(dir=tmp_path)}", games=60, steps=50)


def test_pgvector_agrees_with_the_oracle(postgres: PostgresServer) -> None:
    play(lambda: postgres.uri(table=f"game_{next(TABLES)}"), games=6, steps=25)


@pytest.mark.slow
def test_pgvector_agrees_with_the_oracle_in_long_games(postgres: PostgresServer) -> None:
    play(lambda: postgres.uri(table=f"game_{next(TABLES)}"), games=60, steps=50)


@pytest.mark.filterwarnings("ignore:Local mode performs exact")
def test_the_store_of_a_qdrant_server_agrees_with_the_oracle() -> None:
    """On the client's local mode, opened again by its place."""
    numbers = itertools.count()
    places: dict[int, Path] = {}

    def opened(place: Path) -> Store:
        store = local_store(place)
        places[id(store)] = place
        return store

    def reopen(store: Store) -> Store:
        store.close()
        return opened(places.pop(id(store)))

    run_state_machine_as_test(  # type: ignore[no-untyped-call]
        store_machine(lambda: opened(Path(f"machine-{next(numbers)}")), reopen),
        settings=settings(
            max_examples=6, stateful_step_count=25, deadline=None, suppress_health_check=QUIET
        ),
    )
