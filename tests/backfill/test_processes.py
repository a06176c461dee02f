"""Several processes on one job, some of them killed. The store is a PostgreSQL server."""

import subprocess
import sys
from collections import Counter
from collections.abc import Iterator
from pathlib import Path
from uuid import uuid4

import numpy as np
import pytest

from crossfade.backfill import Backfill, JobState
from crossfade.errors import JobLocked
from crossfade.gallery import Gallery, open_gallery
from crossfade.testing import PostgresServer, encoded_ids, make_upgrade, make_world
from crossfade.upgrade import Side

SCRIPT = Path(__file__).with_name("crashing_job.py")
ITEMS = 160
WORLD = make_world(items=ITEMS, queries=4)
LEASE_SECONDS = 2.0


@pytest.fixture
def uri(postgres: PostgresServer) -> str:
    return postgres.uri(table=f"processes_{uuid4().hex[:12]}")


@pytest.fixture
def gallery(uri: str) -> Iterator[Gallery]:
    with open_gallery(uri, make_upgrade(Side.ITEMS)) as gallery:
        rows = [{"row": row} for row in range(ITEMS)]
        gallery.upsert(range(ITEMS), old=WORLD.gallery.old, payload=rows)
        yield gallery


class Process:
    """A run of the job in a process of its own."""

    def __init__(self, uri: str, log: Path, step: str = "never", times: int = 1) -> None:
        self.log = log
        command = [sys.executable, str(SCRIPT), uri, str(log), step, str(times), "1"]
        pipe = subprocess.PIPE
        self._process = subprocess.Popen(
            [*command, str(LEASE_SECONDS)], stdout=pipe, stderr=pipe, text=True
        )
        assert self._process.stdout is not None
        assert self._process.stdout.readline() == "ready\n"

    def end(self) -> int:
        with self._process as process:
            _, errors = process.communicate(timeout=120)
        assert process.returncode == -9 or not errors, errors
        return process.returncode


def check_moved(gallery: Gallery) -> None:
    status = Backfill(gallery).status()
    assert (status.state, status.done, status.pending) == (JobState.COMPLETE, ITEMS, 0)
    stored = gallery.upgrade.stored.name
    items = {item.id: item for item in gallery.store.scan(n=2 * ITEMS, vectors=[stored])}
    assert sorted(items) == list(range(ITEMS))
    rows = np.stack([items[row].vectors[stored] for row in range(ITEMS)])
    assert np.allclose(rows, gallery.upgrade.store_new(WORLD.gallery.new), atol=1e-6)


def test_processes_share_a_job(gallery: Gallery, uri: str, tmp_path: Path) -> None:
    processes = [Process(uri, tmp_path / f"log{number}") for number in range(2)]
    assert [process.end() for process in processes] == [0, 0]
    encoded = [id for process in processes for id in encoded_ids(process.log)]
    assert sorted(encoded) == list(range(ITEMS))
    check_moved(gallery)


def test_what_a_killed_process_held_is_taken_over(
    gallery: Gallery, uri: str, tmp_path: Path
) -> None:
    killed = Process(uri, tmp_path / "killed", "encoded", 3)
    assert killed.end() == -9
    status = Backfill(gallery).status()
    assert (status.state, status.workers) == (JobState.RUNNING, 1), "its lease has not run out"
    with pytest.raises(JobLocked, match="is at work on this gallery"):
        Backfill(gallery).rollback()
    assert Process(uri, tmp_path / "heir").end() == 0
    check_moved(gallery)
    first, second = encoded_ids(killed.log), encoded_ids(tmp_path / "heir")
    # Two batches were written, the third was only encoded.
    assert len(first) == 12 and len(second) == len(set(second)) == ITEMS - 8
    assert set(first) & set(second) == set(first[8:])


@pytest.mark.slow
def test_processes_killed_one_after_the_other_end_as_an_unbroken_run(
    gallery: Gallery, uri: str, tmp_path: Path
) -> None:
    number = 0
    for step in ("leased", "read", "encoded", "written", "flushed", "journaled"):
        number += 1
        steady = Process(uri, tmp_path / f"log{number}", "journaled", 3)
        assert Process(uri, tmp_path / f"dies{number}", step, 2).end() == -9
        assert steady.end() == -9
    assert Process(uri, tmp_path / "last").end() == 0
    check_moved(gallery)
    logs = [encoded_ids(log) for log in sorted(tmp_path.iterdir())]
    times = Counter(id for log in logs for id in log)
    assert sorted(times) == list(range(ITEMS))
    # Each kill costs its batch of four at most.
    assert sum(times.values()) <= ITEMS + 4 * 2 * number
