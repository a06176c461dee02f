"""One owner at a time, here and in other processes."""

import subprocess
import sys
from pathlib import Path

import pytest

from crossfade.stores.ownership import FileLock, Owned

HOLD = """
import sys
from pathlib import Path
from crossfade.stores.ownership import FileLock
lock = FileLock(Path(sys.argv[1]))
print("held", flush=True)
sys.stdin.read()
"""


def test_a_second_holder_in_the_process_is_refused_until_release(tmp_path: Path) -> None:
    first = FileLock(tmp_path / "lock")
    with pytest.raises(Owned, match="this very process"):
        FileLock(tmp_path / "lock")
    first.release()
    first.release()
    with FileLock(tmp_path / "lock"):
        pass


def test_a_holder_in_another_process_is_named_and_its_death_frees_the_lock(tmp_path: Path) -> None:
    command = [sys.executable, "-c", HOLD, str(tmp_path / "lock")]
    with subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE) as process:
        assert process.stdout is not None
        process.stdout.readline()
        with pytest.raises(Owned, match=f"process {process.pid}"):
            FileLock(tmp_path / "lock")
        process.kill()
    FileLock(tmp_path / "lock").release()


def test_release_frees_the_lock_from_a_forked_child_too(tmp_path: Path) -> None:
    lock = FileLock(tmp_path / "lock")
    # The child shares the open file, as an encoder's forked workers do.
    assert lock._descriptor is not None
    child = subprocess.Popen(["sleep", "60"], pass_fds=[lock._descriptor])
    try:
        lock.release()
        FileLock(tmp_path / "lock").release()
    finally:
        child.kill()
        child.wait()
