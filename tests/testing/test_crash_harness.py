"""The crash harness."""

from pathlib import Path

import pytest

from crossfade.testing import run_script

COUNT = """
import sys, time
from crossfade.testing import die_at
observe = die_at("b", 2)
print("ready", flush=True)
for step in sys.argv[1]:
    observe(step)
    print(step, flush=True)
time.sleep(float(sys.argv[2]))
"""


@pytest.fixture
def script(tmp_path: Path) -> Path:
    (tmp_path / "count.py").write_text(COUNT)
    return tmp_path / "count.py"


def test_a_process_dies_at_the_step_named(script: Path) -> None:
    run = run_script(script, "abcabc", "0")
    assert run.killed and run.output.split() == ["ready", "a", "b", "c", "a"]


def test_a_process_that_does_not_get_there_ends_by_itself(script: Path) -> None:
    run = run_script(script, "abc", "0")
    assert (run.killed, run.exit_code) == (False, 0)
    run = run_script(script, "abc", "soon")
    assert run.exit_code == 1 and "ValueError" in run.errors


def test_a_process_is_killed_after_a_while(script: Path) -> None:
    run = run_script(script, "a", "60", kill_after_seconds=0.2)
    assert run.killed and run.output.split() == ["ready", "a"]
