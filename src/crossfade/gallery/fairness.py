"""A lock whose waiters are not passed by.

Python's own locks may be taken again by the thread that has just let go of them, however long
another one waits: a bulk write that lets go after every chunk would still hold all searches up.
"""

from __future__ import annotations

import threading
from typing import Self

__all__ = ["FairLock"]


class FairLock:
    """A reentrant lock; who waits at its turnstile gets it before whoever held it last."""

    def __init__(self) -> None:
        self._turnstile = threading.Lock()
        self._lock = threading.Lock()
        self._owner: int | None = None
        self._depth = 0

    def __enter__(self) -> Self:
        mine = threading.get_ident()
        if self._owner != mine:
            with self._turnstile:
                self._lock.acquire()
            self._owner = mine
        self._depth += 1
        return self

    def __exit__(self, *_: object) -> None:
        self._depth -= 1
        if not self._depth:
            self._owner = None
            self._lock.release()
