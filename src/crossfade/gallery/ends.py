"""The two ends of an upgrade: finishing, or going back.

Both are decided by one durable change of phase and carried out after it. If the process dies in
between, whoever opens the gallery next goes on.
"""

from __future__ import annotations

from collections.abc import Callable

from crossfade.errors import GalleryStateError
from crossfade.gallery.gallery import Gallery
from crossfade.gallery.moves import State, check_move, next_command
from crossfade.gallery.prepare import unmapped
from crossfade.gallery.record import change_phase, read_state
from crossfade.gallery.refit import forget_refits
from crossfade.gallery.state import GalleryState, Phase
from crossfade.stores import Id, Store

__all__ = [
    "check_finish",
    "check_roll_back",
    "drop_new_side",
    "drop_old_side",
    "finish",
    "roll_back",
    "settle",
]

_ROWS = 1024


def finish(gallery: Gallery, *, present: State | None = None, actor: str | None = None) -> None:
    """Drop the old side for good. Call it through ``Backfill.finish``, which holds the job.

    Args:
        present: the state as the user sees it, and actor: who decides, for the audit log.

    Raises:
        GalleryStateError: items are left on the old side.
    """
    with gallery.write_lock:
        gallery.check_upgrade()
        drop_old_side(gallery.store, present=present, actor=actor, uri=gallery.uri)


def drop_old_side(
    store: Store, *, present: State | None = None, actor: str | None = None, uri: str = "URI"
) -> None:
    """:func:`finish`, for whoever has no upgrade at hand. Nobody may write meanwhile."""
    state = _state(store)
    if state.phase is Phase.FINISHED:
        return
    check_finish(store, state, present=present, uri=uri)
    if state.phase is Phase.SERVING:
        change_phase(
            store,
            state,
            Phase.FINISHING,
            before=present,
            actor=actor,
            details={"items": store.count()},
        )
    settle(store, actor=actor)
    if _state(store).phase is Phase.SERVING:
        raise GalleryStateError(
            "items were written to the old side at the last moment; backfill them first: "
            f"crossfade backfill {uri}"
        )


def check_finish(
    store: Store, state: GalleryState, *, present: State | None = None, uri: str = "URI"
) -> None:
    """Find out whether the old side may be dropped now.

    Raises:
        GalleryStateError: items are left on it, or it is not allowed now.
    """
    seen = _seen(state, present)
    check_move("finish", seen, uri)
    if state.phase is not Phase.SERVING or not (left := store.count(lacks=state.stored.name)):
        return
    items = f"{left} of {store.count()} items are still on the old side"
    if seen is State.PARKED:
        # Another backfill would leave them where they are.
        raise GalleryStateError(
            f"{items}; the backfill parked those that the encoder failed on, and crossfade status "
            f"{uri} says why. Put them back into the queue, then run it again: "
            f"{next_command(seen, uri)}"
        )
    raise GalleryStateError(f"{items}; backfill them first: crossfade backfill {uri}")


def roll_back(
    gallery: Gallery,
    *,
    leave_out: bool = False,
    before: Callable[[], None] = lambda: None,
    present: State | None = None,
    actor: str | None = None,
) -> None:
    """Drop the new side. Call it through ``Backfill.rollback``, which holds the job.

    Args:
        leave_out: go back though some items hold no old vector. They stay stored, but no
            search finds them until they get one.
        before: called once nothing stands in the way, before anything is changed.
        present: the state as the user sees it, and actor: who decides, for the audit log.

    Raises:
        GalleryStateError: there are such items, or the old side is gone.
    """
    with gallery.write_lock:
        gallery.check_upgrade()
        drop_new_side(
            gallery.store, leave_out=leave_out, before=before, present=present, actor=actor
        )


def drop_new_side(
    store: Store,
    *,
    leave_out: bool = False,
    before: Callable[[], None] = lambda: None,
    present: State | None = None,
    actor: str | None = None,
    uri: str = "URI",
) -> None:
    """:func:`roll_back`, for whoever has no upgrade at hand. Nobody may write meanwhile."""
    state = _state(store)
    if state.phase is Phase.ROLLED_BACK:
        return
    lost = check_roll_back(store, state, leave_out=leave_out, present=present, uri=uri)
    if state.phase is not Phase.ROLLING_BACK:
        before()
        details = {"left_out": lost} if lost else {}
        state = change_phase(
            store, state, Phase.ROLLING_BACK, before=present, actor=actor, details=details
        )
        if not leave_out and _without_old(store, state):
            _reopen(store, state, actor)
            raise GalleryStateError(
                "items without an old embedding were written at the last moment; upsert them "
                "with old=..., or roll back with leave_out=True (--leave-out)"
            )
    settle(store, actor=actor)


def check_roll_back(
    store: Store,
    state: GalleryState,
    *,
    leave_out: bool = False,
    present: State | None = None,
    uri: str = "URI",
) -> int:
    """Find out whether the new side may be dropped now; how many items would be left out.

    Raises:
        GalleryStateError: there are such items and leave_out is false, or it is not allowed now.
    """
    check_move("rollback", _seen(state, present), uri)
    if state.phase is Phase.ROLLING_BACK:
        return 0
    lost = _without_old(store, state)
    if lost and not leave_out:
        example = _one_without_old(store, state)
        raise GalleryStateError(
            f"{lost} items hold no old embedding, e.g. {example!r}: the old system would not "
            "find them. Upsert them with old=..., or roll back with leave_out=True "
            "(--leave-out)"
        )
    return lost


def settle(store: Store, *, actor: str | None = None) -> None:
    """Bring the store's spaces in line with the phase; carries out what was decided."""
    state = _state(store)
    if state.phase is Phase.FINISHING:
        if state.source.name in store.spaces() and store.count(lacks=state.stored.name):
            _reopen(store, state, actor)
            return
        store.drop_space(state.source.name)
        _drop_mapped(store, state)
        if state.earlier is not None:
            store.drop_space(state.earlier.source.name)
            _drop_mapped(store, state.earlier)
        forget_refits(store)
        change_phase(store, state, Phase.FINISHED, actor=actor)
    elif state.phase is Phase.ROLLING_BACK:
        store.drop_space(state.stored.name)
        _drop_mapped(store, state)
        if state.earlier is None:
            forget_refits(store)
            change_phase(store, state, Phase.ROLLED_BACK, actor=actor)
        else:
            # The old system was in the middle of an upgrade, and is again.
            change_phase(
                store,
                state,
                Phase.SERVING,
                after=State.STARTED,
                actor=actor,
                returning=state.earlier,
            )
    elif state.phase in (Phase.PREPARING, Phase.SERVING):
        for space in (state.source, state.stored, state.mapped):
            if space is not None:
                store.ensure_space(space)
        if state.phase is Phase.PREPARING and not unmapped(store, state):
            change_phase(store, state, Phase.SERVING, actor=actor)


def _reopen(store: Store, state: GalleryState, actor: str | None) -> None:
    """Take an end back: between the last count and the decision another process has written
    items that would have been lost. After the decision it can't any more."""
    change_phase(store, state, Phase.SERVING, after=State.BEHIND, actor=actor)


def _state(store: Store) -> GalleryState:
    state = read_state(store)
    if state is None:
        check_move("backfill", State.NOT_STARTED)
    assert state is not None
    return state


def _seen(state: GalleryState, present: State | None) -> State:
    """The state to check a move by: the job's where it is known, else the phase's."""
    return state.phase.state if present is None else present


def _drop_mapped(store: Store, state: GalleryState) -> None:
    if state.mapped is not None:
        store.drop_space(state.mapped.name)
    store.flush()


def _without_old(store: Store, state: GalleryState) -> int:
    """How many items the old system would not find."""
    lost = store.count(lacks=state.source.name)
    if state.earlier is not None and lost:
        lost -= store.count(has=state.earlier.source.name, lacks=state.source.name)
    return lost


def _one_without_old(store: Store, state: GalleryState) -> Id | None:
    earlier = [] if state.earlier is None else [state.earlier.source.name]
    after: Id | None = None
    while page := store.scan(after=after, n=_ROWS, lacks=state.source.name, vectors=earlier):
        for item in page:
            if not item.vectors:
                return item.id
        after = page[-1].id
    return None
