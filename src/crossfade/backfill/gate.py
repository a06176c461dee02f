"""Many workers move items, or one of them sweeps."""

from __future__ import annotations

import threading
from collections.abc import Iterator
from contextlib import contextmanager

__all__ = ["Gate"]


class Gate:
    """Keeps the moves and the sweeps of one run apart.

    An item that was moved between a sweep's reading and its queuing would be queued once more,
    and counted twice.
    """

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._moving = 0
        self._sweeping = False

    @contextmanager
    def moving(self) -> Iterator[bool]:
        """Whether to move now: not while somebody sweeps."""
        with self._lock:
            entered = not self._sweeping
            self._moving += entered
        try:
            yield entered
        finally:
            with self._lock:
                self._moving -= entered

    @contextmanager
    def sweeping(self) -> Iterator[bool]:
        """Whether to sweep now: not while somebody moves or sweeps."""
        with self._lock:
            entered = not self._sweeping and not self._moving
            self._sweeping |= entered
        try:
            yield entered
        finally:
            if entered:
                with self._lock:
                    self._sweeping = False
