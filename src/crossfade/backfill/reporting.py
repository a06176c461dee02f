"""Calling a user's progress function as often as looking at the status is cheap."""

from __future__ import annotations

import threading
import time
from collections.abc import Callable

from crossfade.backfill.status import JobStatus

__all__ = ["Reporter"]

_STATUS_SHARE = 20
"""Looking at the status takes at most one part in so many of the job's time."""


class Reporter:
    """Used by several workers; one at a time reports, the others go on.

    Args:
        look: reads the status.
        progress: what to call with it, or None.
    """

    def __init__(
        self, look: Callable[[], JobStatus], progress: Callable[[JobStatus], None] | None
    ) -> None:
        self._look = look
        self._progress = progress
        self._next = 0.0
        self._lock = threading.Lock()

    def report(self) -> None:
        """Report, if it is time to."""
        if self._progress is None or not self._lock.acquire(blocking=False):
            return
        try:
            self._report(self._progress)
        finally:
            self._lock.release()

    def _report(self, progress: Callable[[JobStatus], None]) -> None:
        started = time.monotonic()
        if started < self._next:
            return
        status = self._look()
        now = time.monotonic()
        self._next = now + _STATUS_SHARE * (now - started)
        progress(status)
