"""`rollback`, `finish` and `retry-parked`: no upgrade folder and no encoder is needed for them."""

from __future__ import annotations

from crossfade.backfill.membership import working_alone
from crossfade.backfill.standing import at_rest
from crossfade.gallery import Phase, State, ends
from crossfade.gallery.moves import check_move
from crossfade.gallery.record import log_move
from crossfade.operations.opening import open_collection
from crossfade.operations.status import Status, status

__all__ = ["check_finish", "check_roll_back", "finish", "retry_parked", "roll_back"]


def check_roll_back(uri: str, *, leave_out: bool = False) -> None:
    """Find out what stands in the way of :func:`roll_back`, before anybody is asked.

    Raises:
        GalleryStateError: items hold no old vector (and leave_out is false), or it is not
            allowed now.
    """
    with open_collection(uri) as collection:
        state = collection.check("rollback")
        ends.check_roll_back(
            collection.store,
            state,
            leave_out=leave_out,
            present=collection.state,
            uri=collection.uri,
        )


def roll_back(uri: str, *, leave_out: bool = False, actor: str | None = None) -> Status:
    """Restore the old system exactly: drop the new and mapped vectors, and the job.

    Raises:
        GalleryStateError: items hold no old vector (and leave_out is false), or it is not
            allowed now. JobLocked: the job is at work; pause it first.
    """
    with open_collection(uri) as collection:
        state = collection.check("rollback")
        store, journal = collection.store, collection.journal
        with working_alone(store, journal):
            present = at_rest(store, state, journal)
            ends.drop_new_side(
                store,
                leave_out=leave_out,
                before=journal.clear,
                present=present,
                actor=actor,
                uri=collection.uri,
            )
    return status(uri)


def check_finish(uri: str) -> None:
    """Find out what stands in the way of :func:`finish`, before anybody is asked.

    Raises:
        GalleryStateError: items are left on the old side, or it is not allowed now.
    """
    with open_collection(uri) as collection:
        state = collection.check("finish")
        ends.check_finish(collection.store, state, present=collection.state, uri=collection.uri)


def finish(uri: str, *, actor: str | None = None) -> Status:
    """Drop the old and mapped vectors for good; there is no way back.

    Raises:
        GalleryStateError: items are left on the old side, or it is not allowed now.
        JobLocked: the job is at work.
    """
    with open_collection(uri) as collection:
        state = collection.check("finish")
        store, journal = collection.store, collection.journal
        with working_alone(store, journal):
            present = at_rest(store, state, journal)
            ends.drop_old_side(store, present=present, actor=actor, uri=collection.uri)
            journal.clear()
    return status(uri)


def retry_parked(uri: str, *, actor: str | None = None) -> int:
    """Put parked items back into the queue; returns how many. Run the job afterwards.

    Raises:
        GalleryStateError: it is not allowed now.
    """
    with open_collection(uri) as collection:
        state = collection.check("retry-parked")
        store, journal = collection.store, collection.journal
        with working_alone(store, journal):
            present = at_rest(store, state, journal)
            check_move("retry-parked", present, collection.uri)
            items = journal.unpark() if state.phase is Phase.SERVING else 0
            if items:
                journal.set_state(State.PAUSED)
                details = {"items": items}
                log_move(
                    store,
                    "retry-parked",
                    State.PAUSED,
                    before=present,
                    actor=actor,
                    details=details,
                )
            return items
