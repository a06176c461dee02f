"""A thread for what no search waits for to its end."""

from __future__ import annotations

import threading
from collections import deque
from collections.abc import Callable, Collection
from concurrent.futures import Future, wait

__all__ = ["Background"]

Work = Callable[[], None]


class Background:
    """Does one thing after another, in the order given, on a thread of its own.

    The thread begins with the first work and keeps no process alive: who leaves without
    :meth:`close` leaves what waits undone, as a killed process would.
    """

    def __init__(self, name: str) -> None:
        self._name = name
        self._changed = threading.Condition()
        self._waiting: deque[tuple[Work, Future[None]]] = deque()
        self._unfinished: set[Future[None]] = set()
        self._thread: threading.Thread | None = None
        self._closed = False

    def submit(self, work: Work) -> Future[None]:
        """Do it after what waits already; cancelled if closed before its turn comes."""
        future: Future[None] = Future()
        with self._changed:
            if self._closed:
                _give_up(future)
                return future
            self._waiting.append((work, future))
            self._unfinished.add(future)
            if self._thread is None:
                self._thread = threading.Thread(target=self._run, name=self._name, daemon=True)
                self._thread.start()
            self._changed.notify_all()
        return future

    @property
    def waiting(self) -> int:
        """How much has not begun."""
        return len(self._waiting)

    def drain(self, timeout_seconds: float | None = None) -> bool:
        """Wait until all that was given so far is done; returns whether it is."""
        with self._changed:
            unfinished: Collection[Future[None]] = list(self._unfinished)
        return not wait(unfinished, timeout_seconds).not_done

    def close(self, timeout_seconds: float) -> None:
        """Give up what waits, and wait so long for what is being done."""
        with self._changed:
            self._closed = True
            for _, future in self._waiting:
                _give_up(future)
                self._unfinished.discard(future)
            self._waiting.clear()
            self._changed.notify_all()
            thread = self._thread
        if thread is not None and thread is not threading.current_thread():
            thread.join(timeout_seconds)

    def _run(self) -> None:
        while True:
            with self._changed:
                while not self._waiting:
                    if self._closed:
                        return
                    self._changed.wait()
                work, future = self._waiting.popleft()
                future.set_running_or_notify_cancel()
            try:
                work()
            except BaseException as error:
                future.set_exception(error)
            else:
                future.set_result(None)
            finally:
                with self._changed:
                    self._unfinished.discard(future)


def _give_up(future: Future[None]) -> None:
    future.cancel()
    future.set_running_or_notify_cancel()  # who waits for it is told
