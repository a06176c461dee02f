"""Killing a process for real: at a random moment, or at a named step."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

__all__ = ["CrashedRun", "die_at", "run_script"]


@dataclass(frozen=True)
class CrashedRun:
    """How a run ended.

    Attributes:
        killed: by SIGKILL, its own or ours.
        exit_code: otherwise, what it returned.
    """

    killed: bool
    exit_code: int
    output: str
    errors: str


def run_script(
    script: Path, *arguments: str, kill_after_seconds: float | None = None, timeout: float = 120.0
) -> CrashedRun:
    """Run a Python script in a process of its own and kill it after a while, if it still runs.

    Args:
        kill_after_seconds: when to send SIGKILL, counted from the line ``ready`` on its
            standard output, so that it does not hit the imports; None to let it end.
    """
    command = [sys.executable, str(script), *arguments]
    # Unbuffered: a buffer would keep what came with the first line from communicate().
    pipe = subprocess.PIPE
    with subprocess.Popen(command, stdout=pipe, stderr=pipe, bufsize=0) as process:
        assert process.stdout is not None
        first = process.stdout.readline()
        try:
            output, errors = process.communicate(timeout=kill_after_seconds or timeout)
        except subprocess.TimeoutExpired:
            process.kill()
            output, errors = process.communicate()
            if kill_after_seconds is None:
                raise
    killed = process.returncode == -signal.SIGKILL
    text = (first + output).decode("utf-8", "replace")
    return CrashedRun(killed, process.returncode, text, errors.decode("utf-8", "replace"))


def die_at(step: str, times: int = 1) -> Callable[[str], None]:
    """An observer of steps that kills its own process at the end of the n-th such step."""
    seen: list[str] = []

    def observe(finished: str) -> None:
        seen.append(finished)
        if seen.count(step) == times:
            os.kill(os.getpid(), signal.SIGKILL)

    return observe
