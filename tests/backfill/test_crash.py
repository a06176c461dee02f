"""SIGKILL, for real, at named steps and at random moments."""

import random
from collections import Counter
from dataclasses import dataclass, field
from functools import partial
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from crossfade.backfill import Backfill, JobState
from crossfade.backfill.worker import STEPS
from crossfade.gallery import Gallery, Phase, open_gallery
from crossfade.stores import Draft, Store, open_store
from crossfade.testing import CrashedRun, encoded_ids, make_upgrade, make_world, run_script
from crossfade.upgrade import Side

SCRIPT = Path(__file__).with_name("crashing_job.py")
ITEMS = 160
WORLD = make_world(items=ITEMS, queries=4)
UPGRADE = make_upgrade(Side.ITEMS)
_STATES = (JobState.PREPARING, JobState.NEW, JobState.INTERRUPTED, JobState.COMPLETE)


@dataclass
class Patient:
    """A gallery whose backfill is killed again and again, and what must stay true of it."""

    folder: Path
    stored: set[Any] = field(default_factory=set)
    """Items seen to hold their new vector after a kill: never to be encoded again."""
    journaled: int = 0
    logged: int = 0
    kills: int = 0

    def __post_init__(self) -> None:
        with open_store(f"qdrant://{self.folder}") as store:
            store.ensure_space(UPGRADE.source)
            store.put(
                [
                    Draft(row, {UPGRADE.source.name: WORLD.gallery.old[row]}, {"row": row})
                    for row in range(ITEMS)
                ]
            )

    @property
    def log(self) -> Path:
        return self.folder.with_suffix(".log")

    def run(self, *arguments: object, kill_after_seconds: float | None = None) -> CrashedRun:
        run = run_script(
            SCRIPT,
            f"qdrant://{self.folder}",
            str(self.log),
            *map(str, arguments),
            kill_after_seconds=kill_after_seconds,
        )
        assert run.killed or run.exit_code == 0, run.errors
        self.kills += run.killed
        self.check()
        return run

    def check(self) -> None:
        ids = encoded_ids(self.log)
        again = self.stored & set(ids[self.logged :])
        assert not again, f"{sorted(again)} were encoded again after they had been stored"
        self.logged = len(ids)
        with open_gallery(f"qdrant://{self.folder}", UPGRADE) as gallery:
            self.stored = check_items(gallery)
            job = Backfill(gallery)
            status = job.status()
            assert status.state in _STATES
            self.journaled = status.done
            assert self.journaled <= len(self.stored)
            assert status.parked == 0
            check_search(gallery)

    def check_end(self) -> None:
        assert self.stored == set(range(ITEMS))
        encoded = Counter(encoded_ids(self.log))
        assert set(encoded) == set(range(ITEMS))
        assert max(encoded.values()) <= 1 + self.kills
        with open_gallery(f"qdrant://{self.folder}", UPGRADE) as gallery:
            assert Backfill(gallery).status().state is JobState.COMPLETE
            assert_equal_contents(gallery.store, unbroken_run())


def check_items(gallery: Gallery) -> set[Any]:
    """No item lost, none doubled, none changed; returns those that hold their new vector."""
    items = gallery.store.scan(n=10 * ITEMS, vectors=[UPGRADE.source.name, UPGRADE.stored.name])
    assert [item.id for item in items] == list(range(ITEMS))
    expected = UPGRADE.store_new(WORLD.gallery.new)
    holding = set()
    for row, item in enumerate(items):
        assert item.payload == {"row": row}
        assert np.array_equal(item.vectors[UPGRADE.source.name], WORLD.gallery.old[row])
        if UPGRADE.stored.name in item.vectors:
            assert np.allclose(item.vectors[UPGRADE.stored.name], expected[row], atol=1e-6)
            holding.add(item.id)
    return holding


def check_search(gallery: Gallery) -> None:
    modes = ["old"] if gallery.state.phase is Phase.PREPARING else ["old", "one-encoder"]
    for mode in modes:
        found = gallery.search(
            WORLD.queries.new, 10 * ITEMS, query_old=WORLD.queries.old, mode=mode
        )
        assert all(sorted(hit.id for hit in hits) == list(range(ITEMS)) for hits in found)


def unbroken_run() -> Store:
    store = open_store("memory://")
    gallery = open_gallery(store, UPGRADE)
    rows = [{"row": row} for row in range(ITEMS)]
    gallery.upsert(range(ITEMS), old=WORLD.gallery.old, payload=rows)
    Backfill(
        gallery, lambda items: WORLD.gallery.new[[item.payload["row"] for item in items]]
    ).run()
    return store


def assert_equal_contents(store: Store, other: Store) -> None:
    assert store.spaces() == other.spaces()
    names = list(store.spaces())
    mine, theirs = (one.scan(n=10 * ITEMS, vectors=names) for one in (store, other))
    assert len(mine) == len(theirs) == ITEMS
    for item, expected in zip(mine, theirs, strict=True):
        assert (item.id, item.payload) == (expected.id, expected.payload)
        assert set(item.vectors) == set(expected.vectors) == set(names)
        for name in names:
            assert np.allclose(item.vectors[name], expected.vectors[name], atol=1e-6)


@pytest.mark.parametrize("step", STEPS)
def test_a_job_killed_after_a_step_goes_on_and_ends_as_an_unbroken_run(
    tmp_path: Path, step: str
) -> None:
    patient = Patient(tmp_path / "gallery")
    assert patient.run(step, 3).killed
    written = 4 * {"written": 3, "flushed": 3, "journaled": 3}.get(step, 2)
    assert len(patient.stored) == written
    assert patient.journaled == (12 if step == "journaled" else 8)
    assert not patient.run().killed
    patient.check_end()
    repeated = {id for id, times in Counter(encoded_ids(patient.log)).items() if times > 1}
    assert len(repeated) == (4 if step == "encoded" else 0)


@pytest.mark.slow
def test_a_job_killed_after_every_single_step_ends_as_an_unbroken_run(tmp_path: Path) -> None:
    """Each run lives for a few steps more than it needs to make progress at all."""
    patient = Patient(tmp_path / "gallery")
    for number, step in enumerate(STEPS):
        assert patient.run(step, 2 + number).killed
    patient.run()
    patient.check_end()


@pytest.mark.parametrize("step", ["encoded", "journaled"])
def test_workers_killed_after_a_step_are_gone_on_with(tmp_path: Path, step: str) -> None:
    """Which worker takes the step is chance; what must stay true is not."""
    patient = Patient(tmp_path / "gallery")
    for times in (2, 7):
        assert patient.run(step, times, 3).killed
    patient.run("never", 1, 3)
    patient.check_end()


@pytest.mark.slow
@pytest.mark.parametrize("step", STEPS)
def test_workers_killed_after_any_step_are_gone_on_with(tmp_path: Path, step: str) -> None:
    patient = Patient(tmp_path / "gallery")
    for times in range(1, 7):
        assert patient.run(step, times, 4).killed
    patient.run("never", 1, 4)
    patient.check_end()


def kill_at_random_moments(folder: Path, kills: int, seed: int, workers: int = 1) -> None:
    """Kill jobs so many times in all; a job that got to its end is followed by a new one."""
    moments = random.Random(seed)
    done, number = 0, 0
    while done < kills:
        number += 1
        patient = Patient(folder / f"gallery{number}")
        run = partial(patient.run, "never", 1, workers)
        while done < kills and run(kill_after_seconds=moments.uniform(0.0, 0.6)).killed:
            done += 1
        run()
        patient.check_end()


def test_a_job_killed_at_random_moments_ends_as_an_unbroken_run(tmp_path: Path) -> None:
    kill_at_random_moments(tmp_path, kills=5, seed=0)


@pytest.mark.slow
def test_a_job_killed_at_fifty_random_moments_ends_as_an_unbroken_run(tmp_path: Path) -> None:
    kill_at_random_moments(tmp_path, kills=50, seed=1)


@pytest.mark.slow
def test_workers_killed_at_fifty_random_moments_end_as_an_unbroken_run(tmp_path: Path) -> None:
    kill_at_random_moments(tmp_path, kills=50, seed=2, workers=4)
