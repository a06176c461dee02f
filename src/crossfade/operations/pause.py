"""`pause`: stop a running job, whichever process runs it."""

from __future__ import annotations

import time
from collections.abc import Callable
from contextlib import closing

from crossfade.backfill.journal import Journal, SqliteJournal
from crossfade.backfill.pausing import leave_note
from crossfade.gallery import State
from crossfade.gallery.audit import whoami
from crossfade.gallery.moves import check_move
from crossfade.gallery.record import log_move
from crossfade.operations.opening import Collection, look
from crossfade.operations.status import Status, status
from crossfade.stores.peek import Held, held_elsewhere

__all__ = ["pause"]

_LOOK_SECONDS = 0.1


def pause(uri: str, *, wait_seconds: float = 30.0, actor: str | None = None) -> Status:
    """Let the running job stop after its batch, and wait for it.

    The decision is durable when it returns, even if a worker is still in its encoder then.

    Raises:
        GalleryStateError: nothing is running.
    """
    look(
        uri,
        lambda collection: _inside(collection, wait_seconds, actor),
        lambda held: _outside(uri, held, wait_seconds, actor),
    )
    return status(uri)


def _inside(collection: Collection, wait_seconds: float, actor: str | None) -> None:
    collection.check("pause")
    if collection.journal.pause():
        log_move(collection.store, "pause", State.PAUSED, before=State.RUNNING, actor=actor)
    _wait_for(collection.journal, wait_seconds, lambda: False)


def _outside(uri: str, held: Held, wait_seconds: float, actor: str | None) -> None:
    seen = status(uri)
    check_move("pause", seen.state, seen.uri)
    # The note first: the job that stops looks for it.
    leave_note(held.folder, actor or whoami())
    with closing(SqliteJournal(str(held.folder / "journal.sqlite3"))) as journal:
        journal.pause()
        _wait_for(journal, wait_seconds, lambda: held_elsewhere(uri) is None)


def _wait_for(journal: Journal, seconds: float, gone: Callable[[], bool]) -> None:
    until = time.monotonic() + seconds
    while journal.workers() and time.monotonic() < until and not gone():
        time.sleep(_LOOK_SECONDS)
