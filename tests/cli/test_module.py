"""The package as a command."""

import subprocess
import sys

import crossfade


def test_the_package_runs_as_a_module() -> None:
    command = [sys.executable, "-m", "crossfade", "--version"]
    ran = subprocess.run(command, capture_output=True, text=True, check=True)
    assert crossfade.__version__ in ran.stdout
