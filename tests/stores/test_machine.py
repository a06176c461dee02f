"""Random operations give the same answers on every store as on the oracle."""

import tempfile
from pathlib import Path

import pytest
from hypothesis import HealthCheck, settings
from hypothesis.stateful import run_state_machine_as_test

from crossfade.stores import Store, open_store
from crossfade.stores.memory import MemoryStore
from crossfade.testing.machine import store_machine

QUIET = [HealthCheck.too_slow, HealthCheck.data_too_large, HealthCheck.filter_too_much]


def reopen(store: Store) -> Store:
    store.close()
    return open_store(f"qdrant://{store.folder}")


def play_on_qdrant(folder: Path, games: int, steps: int) -> None:
    def open_new() -> Store:
        return open_store(f"qdrant://{tempfile.mkdtemp(dir=folder)}")

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


def test_qdrant_agrees_with_the_oracle(tmp_path: Path) -> None:
    play_on_qdrant(tmp_path, games=6, steps=25)


@pytest.mark.slow
def test_qdrant_agrees_with_the_oracle_in_long_games(tmp_path: Path) -> None:
    play_on_qdrant(tmp_path, games=60, steps=50)
