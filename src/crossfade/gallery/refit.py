"""Fitting a gallery's forward map again on its backfilled items, and teaching it by the queries
that its service has answered. The order of effects:

    1. look      whether a milestone of coverage was passed that was not looked at before, or
                 whether there are queries that tell more than those known by
    2. gather    the backfilled items that still hold their old vector and were not fitted on,
                 or a sample of them, and fit; learn from the queries
    3. keep      the new map, durably, beside the collection
    4. decide    one compare-and-set of the gallery's state: from here on the new generation maps
                 what is written and reads the scores
    5. rewrite   the mapped vectors of all items that are not yet backfilled
    6. conclude  in the state: they all are

Killed before 4, nothing has changed, and the next run looks again. Killed in 5, the next run
rewrites from the beginning. Meanwhile mapped vectors of two generations stand side by side: both
are estimates of the same new vectors, in one space, and a search compares all of them as they
are. A vector is written only if its item still has the version that was read, so a user's write
wins; and writes are conditional on the state, so none that comes after 4 is by the old map.
"""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, replace
from typing import Any

import numpy as np

from crossfade.embeddings import QueryLog
from crossfade.errors import StoreError
from crossfade.gallery.audit import Entry
from crossfade.gallery.generations import forget_maps, keep_map, kept_maps, read_map
from crossfade.gallery.prepare import mapped_writes
from crossfade.gallery.record import append, read_record
from crossfade.gallery.state import GalleryState, MapGeneration, Phase
from crossfade.stores import Id, Item, Outcome, Store
from crossfade.upgrade import (
    Fresh,
    ItemOffset,
    Transform,
    Upgrade,
    can_be_taught,
    milestone_at,
    taught_offset,
    teaches_more,
)

__all__ = [
    "STEPS",
    "fit_again",
    "forget_refits",
    "is_due",
    "rewrite_mapped",
    "teaches_gallery",
]

STEPS = ("gathered", "kept", "decided", "rewriting", "rewritten")
"""Names of the steps, for observers; ``rewriting`` after each batch."""

_LOOKED = "crossfade.refit"
_ROWS = 1024

Stopped = Callable[[], bool]
Clock = Callable[[], float]
"""Seconds that were worked; a job's rests may be left out."""
Observe = Callable[[str], None]


def is_due(store: Store, upgrade: Upgrade, coverage: float) -> bool:
    """Whether the map should be fitted again at this coverage; reads a pointer at most."""
    milestone = milestone_at(coverage)
    if upgrade.refit is None or not milestone or coverage >= 1.0:
        return False
    return milestone > _looked_at(store, upgrade)


def teaches_gallery(state: GalleryState, upgrade: Upgrade, queries: int) -> bool:
    """Whether so many recorded queries tell enough beyond those by which it was taught before."""
    if state.phase is not Phase.SERVING or not can_be_taught(upgrade):
        return False
    return teaches_more(upgrade, state.fitted.queries if state.fitted else 0, queries)


def fit_again(
    store: Store,
    upgrade: Upgrade,
    coverage: float,
    stopped: Stopped,
    observe: Observe,
    clock: Clock = time.monotonic,
    queries: QueryLog | None = None,
) -> MapGeneration | None:
    """Fit the map again and decide for it; :func:`rewrite_mapped` must follow.

    Args:
        upgrade: the gallery's, as it was fitted.
        queries: at unit length, that it is to be taught by if they tell enough that is new.

    Returns:
        The new generation; None if too little has been backfilled that was not fitted on, or
        shows nothing that the map lacks, and nothing is to be learned; if it was stopped, or if
        somebody else has changed the gallery meanwhile.
    """
    refit, began = upgrade.refit, clock()
    assert refit is not None
    record = read_record(store.read_pointer)
    state = record.state if record else None
    if record is None or state is None or state.phase is not Phase.SERVING:
        return None
    if state.upgrade_id != upgrade.id:
        return None  # another upgrade has been started since, and the map is not its
    earlier = kept_maps(store)
    try:
        present = _in_use(store, upgrade, state.fitted)
    except StoreError:
        if _state_now(store) == state:
            raise
        return None  # another generation has taken its place since
    if queries is not None and not teaches_gallery(state, upgrade, len(queries)):
        queries = None  # somebody else has taught it since
    extra = _gather(store, upgrade, stopped)
    if stopped():
        return None
    observe("gathered")
    following = _following(present, upgrade, extra, queries, stopped)
    if stopped():
        return None
    if following is None:
        _look(store, upgrade, coverage)
        return None
    kept = keep_map(
        store,
        following.forward,
        state.fitted.number + 1 if state.fitted else 1,
        following.pairs,
        following.offset,
        following.queries,
    )
    observe("kept")
    seconds = round(clock() - began, 3)
    details: dict[str, Any] = {
        "generation": kept.number,
        "pairs": kept.pairs,
        "coverage": round(coverage, 6),
        "seconds": seconds,
    }
    if following.queries != present.queries:
        details["queries"] = following.queries
    entry = Entry("refit", record.shown, record.shown, None, details)
    decided = replace(state, fitted=kept, refit_seconds=seconds)
    if append(store, record, decided, entry) is None:
        return None  # what was kept is forgotten by whoever decides next
    observe("decided")
    _look(store, upgrade, coverage)
    # The generation before stays for searches that have just read the state.
    in_use = {kept.sha256} | ({state.fitted.sha256} if state.fitted else set())
    forget_maps(store, earlier - in_use)
    return kept


@dataclass(frozen=True, eq=False)
class _Generation:
    """What a generation holds.

    Attributes:
        pairs: that the map was fitted on.
        offset: of items, None for the upgrade's own. queries: that it is told by, of the service.
    """

    forward: Transform
    pairs: int
    offset: ItemOffset | None
    queries: int


def _in_use(store: Store, upgrade: Upgrade, fitted: MapGeneration | None) -> _Generation:
    """The generation in use; StoreError if it is not there any more."""
    if fitted is None:
        assert upgrade.forward is not None and upgrade.refit is not None
        return _Generation(upgrade.forward, upgrade.refit.moments.n, None, 0)
    forward, offset = read_map(store, fitted)
    return _Generation(forward, fitted.pairs, offset, fitted.queries)


def _following(
    present: _Generation,
    upgrade: Upgrade,
    extra: Fresh | None,
    queries: QueryLog | None,
    stopped: Stopped,
) -> _Generation | None:
    """The next generation; None if there is nothing to fit and nothing to learn."""
    refit = upgrade.refit
    assert refit is not None and upgrade.forward is not None
    following = present
    if extra is not None and refit.has_grown(present.pairs, extra.n):
        forward = refit.forward(extra, upgrade.forward)
        if forward is not None:
            following = replace(following, forward=forward, pairs=refit.moments.n + extra.n)
    if queries is not None and not stopped():
        offset = taught_offset(upgrade, queries, extra, stopped)
        if offset is not None:
            following = replace(following, offset=offset, queries=len(queries))
    return None if following is present else following


def rewrite_mapped(
    store: Store,
    upgrade: Upgrade,
    fitted: MapGeneration,
    stopped: Stopped,
    observe: Observe,
    clock: Clock = time.monotonic,
) -> bool:
    """Map all items that are not yet backfilled by a generation; returns whether it is done.

    May be stopped, and repeated, at will. It gives way to a later generation.

    Args:
        upgrade: with the generation's map; spaces are the state's.
    """
    state = _state_of(store, fitted)
    if state is None or state.mapped is None:
        return False
    after: Id | None = None
    written, began = 0, clock()
    while not stopped():
        batch = store.scan(
            after=after,
            n=_ROWS,
            lacks=state.stored.name,
            vectors=[state.source.name],
            payload=False,
        )
        if not batch:
            store.flush()
            return _conclude(store, fitted, written, clock() - began, observe)
        if _state_of(store, fitted) is None:
            return False
        after = batch[-1].id
        holding = [item for item in batch if state.source.name in item.vectors]
        if holding:
            writes = mapped_writes(upgrade, state.source.name, holding)
            outcomes = store.set_vectors(state.mapped.name, writes)
            written += outcomes.count(Outcome.APPLIED)
        observe("rewriting")
    return False


def forget_refits(store: Store) -> None:
    """Forget all generations and milestones, at an upgrade's end."""
    forget_maps(store, kept_maps(store))
    while (looked := store.read_pointer(_LOOKED)) is not None:
        store.swap_pointer(_LOOKED, looked, None)


def _conclude(
    store: Store, fitted: MapGeneration, written: int, seconds: float, observe: Observe
) -> bool:
    while (state := _state_of(store, fitted)) is not None:
        record = read_record(store.read_pointer)
        if record is None or record.state != state:
            continue
        done = replace(
            state,
            fitted=replace(fitted, rewritten=True),
            refit_seconds=round(state.refit_seconds + seconds, 3),
        )
        details = {"generation": fitted.number, "items": written, "seconds": round(seconds, 3)}
        entry = Entry("remap", record.shown, record.shown, None, details)
        if append(store, record, done, entry) is not None:
            observe("rewritten")
            return True
    return False


def _state_now(store: Store) -> GalleryState | None:
    record = read_record(store.read_pointer)
    return record.state if record else None


def _state_of(store: Store, fitted: MapGeneration) -> GalleryState | None:
    """The gallery's state, if the generation is still the one in use, and to be rewritten."""
    state = _state_now(store)
    if state is None or state.phase is not Phase.SERVING or state.fitted != fitted:
        return None
    return state


def _gather(store: Store, upgrade: Upgrade, stopped: Stopped) -> Fresh | None:
    """The backfilled items that were not fitted on; None if there are none."""
    refit = upgrade.refit
    assert refit is not None
    source, stored = upgrade.source.name, upgrade.stored.name
    backfilled = store.count(has=stored)
    total: Fresh | None = None
    for batch in _batches(store, [source, stored], stopped):
        both = [item for item in batch if {source, stored} <= item.vectors.keys()]
        if not both:
            continue
        old = np.stack([item.vectors[source] for item in both])
        new = np.stack([item.vectors[stored] for item in both])
        more = refit.gather([item.id for item in both], old, new, backfilled)
        if more is not None:
            total = more if total is None else total + more
    return total


def _batches(store: Store, vectors: Sequence[str], stopped: Stopped) -> Iterator[list[Item]]:
    after: Id | None = None
    while not stopped() and (
        batch := store.scan(after=after, n=_ROWS, vectors=vectors, payload=False)
    ):
        yield batch
        after = batch[-1].id


def _looked_at(store: Store, upgrade: Upgrade) -> float:
    text = store.read_pointer(_LOOKED)
    upgrade_id, _, milestone = (text or "").partition(" ")
    return float(milestone) if upgrade_id == upgrade.id else 0.0


def _look(store: Store, upgrade: Upgrade, coverage: float) -> None:
    milestone = milestone_at(coverage)
    while _looked_at(store, upgrade) < milestone:
        present = store.read_pointer(_LOOKED)
        store.swap_pointer(_LOOKED, present, f"{upgrade.id} {milestone}")
