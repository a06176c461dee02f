"""SIGTERM and SIGINT, for real, on a job in a process of its own."""

import os
import signal
import subprocess
import sys
import time
from pathlib import Path

import numpy as np
import pytest

from crossfade.backfill import Backfill, JobState, stopping_on_signals
from crossfade.gallery import open_gallery
from crossfade.testing import make_upgrade, make_world

SCRIPT = Path(__file__).with_name("stopped_job.py")


@pytest.mark.parametrize(
    ("what", "number"),
    [
        ("encode", signal.SIGTERM),
        ("encode", signal.SIGINT),
        ("throttle", signal.SIGTERM),
        ("hang", signal.SIGTERM),
        ("retry", signal.SIGINT),
    ],
)
def test_a_job_that_is_told_to_stop_ends_paused_in_seconds_and_loses_nothing(
    tmp_path: Path, what: str, number: int
) -> None:
    command = [sys.executable, str(SCRIPT), str(tmp_path / "gallery"), what]
    pipe = subprocess.PIPE
    with subprocess.Popen(command, stdout=pipe, stderr=pipe, text=True) as process:
        assert process.stdout is not None
        assert process.stdout.readline() == "ready\n"
        started = time.monotonic()
        process.send_signal(number)
        output, errors = process.communicate(timeout=60)
    assert time.monotonic() - started < 10.0
    assert (process.returncode, errors) == (0, "")
    state, done, pending = output.split()
    assert state == "paused" and int(done) + int(pending) == 120 and int(pending) > 0
    world = make_world(items=120, queries=4)
    with open_gallery(f"qdrant://{tmp_path}/gallery", make_upgrade()) as gallery:
        job = Backfill(gallery, lambda items: world.gallery.new[[i.payload["row"] for i in items]])
        status = job.status()
        assert (status.state, status.done) == (JobState.PAUSED, int(done))
        assert job.run().state is JobState.COMPLETE
        stored = gallery.upgrade.stored.name
        items = gallery.store.scan(n=200, vectors=[stored])
        rows = np.stack([item.vectors[stored] for item in items])
        assert np.allclose(rows, gallery.upgrade.store_new(world.gallery.new), atol=1e-6)


def test_a_second_signal_does_what_it_did_before() -> None:
    stops: list[str] = []

    class Job:
        def stop(self) -> None:
            stops.append("stop")

    before = signal.getsignal(signal.SIGINT)
    with pytest.raises(KeyboardInterrupt), stopping_on_signals(Job()):
        os.kill(os.getpid(), signal.SIGINT)
        assert stops == ["stop"]
        os.kill(os.getpid(), signal.SIGINT)
        time.sleep(1)
    assert signal.getsignal(signal.SIGINT) is before
    with stopping_on_signals(Job()):
        assert signal.getsignal(signal.SIGINT) is not before
    assert signal.getsignal(signal.SIGINT) is before
