"""Queries to record, and what a recorder's tests wait for."""

from __future__ import annotations

import hashlib
import subprocess
import sys
import textwrap
import threading
import time
from collections.abc import Callable, Iterable
from typing import Any

import numpy as np

from crossfade import QueryLog, QueryRecorder
from crossfade.embeddings import unit_rows

DIM_NEW, DIM_OLD = 6, 3


def queries(n: int, seed: int = 0, dim: int = DIM_NEW) -> np.ndarray:
    return unit_rows(np.random.default_rng(seed).normal(size=(n, dim)))


def old_of(rows: np.ndarray) -> np.ndarray:
    """As if by another model: the same row gives the same one."""
    return unit_rows(rows[:, :DIM_OLD] + 2)


def smallest(rows: Iterable[np.ndarray], most: int) -> np.ndarray:
    """The slow reference: all distinct rows, sorted by hash."""
    distinct = {row.tobytes(): row for row in rows}

    def hashed(key: bytes) -> bytes:
        return hashlib.blake2b(key, digest_size=16).digest()

    return np.stack([distinct[key] for key in sorted(distinct, key=hashed)[:most]])


def log_of(recorder: QueryRecorder) -> QueryLog:
    log = recorder.log()
    assert log is not None
    return log


def wait_until(holds: Callable[[], bool]) -> None:
    until = time.monotonic() + 30
    while not holds():
        assert time.monotonic() < until, "it never came"
        time.sleep(0.005)


def writers() -> list[threading.Thread]:
    return [thread for thread in threading.enumerate() if thread.name == "recorded queries"]


def settled() -> None:
    """Wait for all that is due to be written."""
    wait_until(lambda: not writers())


def run(code: str, *arguments: Any) -> subprocess.CompletedProcess[str]:
    command = [sys.executable, "-c", textwrap.dedent(code), *map(str, arguments)]
    return subprocess.run(command, capture_output=True, text=True, check=True, timeout=120)


POOL = queries(40)
