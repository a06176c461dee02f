"""Who is at work on a gallery's job: many workers side by side, or one that is alone.

Membership is a lease in the journal, renewed by a heartbeat: a worker that dies, or whose
machine hangs, is replaced. Of a store that one process owns, no worker of an earlier process can
be alive: the first here evicts them, so that a killed job goes on at once.
"""

from __future__ import annotations

import os
import secrets
import socket
import threading
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from weakref import WeakKeyDictionary

from crossfade.backfill.journal import Journal
from crossfade.backfill.journal.base import locked_by
from crossfade.backfill.status import JobState
from crossfade.errors import StoreError
from crossfade.stores import Store
from crossfade.stores.ownership import FileLock, Owned

__all__ = ["LEASE_SECONDS", "Member", "is_at_work", "working", "working_alone"]

LEASE_SECONDS = 30.0
"""A worker that gives no sign of life for so long is replaced."""
_BEATS_A_LEASE = 4


@dataclass(frozen=True, eq=False)
class Member:
    """One run of a job, as the journal knows it.

    Attributes:
        name: unlike any other's.
        seconds: of its lease.
    """

    journal: Journal
    name: str
    seconds: float

    def start_over(self) -> None:
        """Give everything back and go on; for when it is not known what is held."""
        self.journal.leave(self.name)
        self.journal.join(self.name, self.seconds)

    def leave(self, state: JobState | None = None, last_error: str | None = None) -> None:
        """Give everything back; see :meth:`Journal.leave`."""
        self.journal.leave(self.name, state, last_error)


@contextmanager
def working(store: Store, journal: Journal, seconds: float = LEASE_SECONDS) -> Iterator[Member]:
    """Be one of the job's workers.

    Raises:
        JobLocked: one is there that must be alone, or another process has the store's job.
    """
    with _holding(store, journal):
        member = Member(journal, _name(), seconds)
        journal.join(member.name, seconds)
        with _beating(member):
            yield member


@contextmanager
def working_alone(store: Store, journal: Journal, seconds: float = LEASE_SECONDS) -> Iterator[None]:
    """Keep all workers out, for what can't be done beside them.

    Raises:
        JobLocked: somebody is at work.
    """
    with _holding(store, journal):
        member = Member(journal, _name(), seconds)
        journal.join_alone(member.name, seconds)
        with _beating(member):
            yield


def is_at_work(store: Store, journal: Journal) -> bool:
    """Whether any worker is alive, as far as this process can know."""
    if _is_shared(store):
        return bool(journal.workers())
    with _HOLDERS_LOCK:
        if store in _HOLDERS:
            return True
    # Another process can be at work only where a store lets it in.
    return store.capabilities.several_processes and bool(journal.workers())


@contextmanager
def _beating(member: Member) -> Iterator[None]:
    over = threading.Event()

    def beat() -> None:
        while not over.wait(member.seconds / _BEATS_A_LEASE):
            # Without a beat the lease runs out, and the next one to lease joins anew.
            with suppress(StoreError):
                member.journal.renew(member.name, member.seconds)

    heart = threading.Thread(target=beat, name="backfill heartbeat", daemon=True)
    heart.start()
    try:
        yield
    finally:
        over.set()
        heart.join()
        # If the journal is gone, the lease runs out by itself.
        with suppress(StoreError):
            member.leave()


@dataclass(eq=False)
class _Holders:
    """Of a store, in this process."""

    lock: FileLock | None
    count: int


_HOLDERS: WeakKeyDictionary[Store, _Holders] = WeakKeyDictionary()
_HOLDERS_LOCK = threading.Lock()


@contextmanager
def _holding(store: Store, journal: Journal) -> Iterator[None]:
    """Have the store's job in this process, together with others here."""
    if _is_shared(store):
        yield
        return
    with _HOLDERS_LOCK:
        if store not in _HOLDERS:
            holders = _Holders(_lock(store), 0)
            try:
                journal.evict()
            except BaseException:
                _release(holders)
                raise
            _HOLDERS[store] = holders
        _HOLDERS[store].count += 1
    try:
        yield
    finally:
        with _HOLDERS_LOCK:
            holders = _HOLDERS[store]
            holders.count -= 1
            if not holders.count:
                del _HOLDERS[store]
                _release(holders)


def _is_shared(store: Store) -> bool:
    """Whether other processes may work on the store at the same time."""
    return store.capabilities.server or store.capabilities.several_processes


def _lock(store: Store) -> FileLock | None:
    if store.folder is None:
        return None
    try:
        return FileLock(store.folder / "backfill.lock")
    except Owned as error:
        raise locked_by(error.owner) from error


def _release(holders: _Holders) -> None:
    if holders.lock is not None:
        holders.lock.release()


def _name() -> str:
    return f"process {os.getpid()} on {socket.gethostname()}, run {secrets.token_hex(4)}"
