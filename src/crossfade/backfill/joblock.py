"""One job on a gallery at a time."""

from __future__ import annotations

import threading
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from weakref import WeakSet

from crossfade.errors import JobLocked
from crossfade.stores import Store
from crossfade.stores.ownership import FileLock, Owned

__all__ = ["holding_job", "is_held_here"]

_HELD: WeakSet[Store] = WeakSet()
_HELD_LOCK = threading.Lock()


@contextmanager
def holding_job(store: Store) -> Iterator[None]:
    """Own the gallery's job.

    Raises:
        JobLocked: another job owns it, here or in another process.
    """
    with ExitStack() as held:
        with _HELD_LOCK:
            if store in _HELD:
                raise _locked("this process")
            _HELD.add(store)
        held.callback(_HELD.discard, store)
        if store.folder is not None:
            try:
                held.enter_context(FileLock(store.folder / "backfill.lock"))
            except Owned as error:
                raise _locked(error.owner) from error
        yield


def is_held_here(store: Store) -> bool:
    """Whether a job of this process is at work on the gallery."""
    return store in _HELD


def _locked(owner: str) -> JobLocked:
    return JobLocked(
        f"a backfill job of {owner} is at work on this gallery; wait for it, or pause it first"
    )
