"""Stopping gracefully when the system asks for it."""

from __future__ import annotations

import signal
from collections.abc import Iterator
from contextlib import contextmanager
from types import FrameType
from typing import Protocol

__all__ = ["Stoppable", "stopping_on_signals"]

_SIGNALS = (signal.SIGTERM, signal.SIGINT)


class Stoppable(Protocol):
    """What can be told to stop, such as a :class:`Backfill`."""

    def stop(self) -> None:
        """Stop soon."""
        ...


@contextmanager
def stopping_on_signals(job: Stoppable) -> Iterator[None]:
    """Let SIGTERM and SIGINT stop a job, which then ends ``paused`` in under ten seconds.

    A second signal does what it did before. To be used in the main thread.

        with stopping_on_signals(job):
            status = job.run()
    """
    before = {number: signal.getsignal(number) for number in _SIGNALS}

    def restore() -> None:
        for number, handler in before.items():
            signal.signal(number, handler)

    def stop(number: int, frame: FrameType | None) -> None:  # noqa: ARG001
        restore()
        job.stop()

    for number in _SIGNALS:
        signal.signal(number, stop)
    try:
        yield
    finally:
        restore()
