"""What must be true of a gallery, whatever was killed: of every search, and of what it holds."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator
from dataclasses import dataclass
from enum import StrEnum
from time import monotonic

import numpy as np

from crossfade.embeddings import FloatArray
from crossfade.gallery import Phase
from crossfade.gallery.record import read_state, verify_log
from crossfade.stores import Item, Store
from crossfade.testing.chaos.content import UPGRADE, Content, new_of, old_of
from crossfade.testing.chaos.ledger import History, Search

__all__ = ["Fault", "FaultKind", "Look", "check_look", "check_searches", "look"]

_ENDING = (Phase.FINISHING, Phase.FINISHED)
_MOST_ITEMS = 100_000


class FaultKind(StrEnum):
    """What can be wrong."""

    LOST = "lost"
    """An item that was there is missing, or no search can find it."""
    DOUBLED = "doubled"
    """An id was returned twice."""
    STALE = "stale"
    """Content or a vector older than what was acknowledged, or of another content."""
    UNDEAD = "undead"
    """A deleted item is there."""
    BROKEN = "broken"
    """Anything else: an error, an audit log that does not verify."""


@dataclass(frozen=True)
class Fault:
    """Something that must not be, in words."""

    kind: FaultKind
    text: str


def check_searches(history: History) -> list[Fault]:
    """All searches of a life, each against what was live while it ran."""
    faults = [Fault(FaultKind.BROKEN, error) for error in history.errors]
    for search in history.searches:
        faults += _search_faults(history, search)
    return faults


def _search_faults(history: History, search: Search) -> Iterator[Fault]:
    where = f"{search.mode} search from {search.begun:.4f} to {search.ended:.4f}"
    returned = dict(search.hits)
    for id, times in Counter(id for id, _ in search.hits).items():
        if times > 1:
            yield Fault(FaultKind.DOUBLED, f"{where} returned {id} {times} times")
    for id in history.writes.keys() | returned.keys():
        possible = history.possible(id, search.begun, search.ended)
        if id not in returned:
            if all(_is_findable(content, search.mode) for content in possible):
                yield Fault(FaultKind.LOST, f"{where} missed {id}: {possible}")
        elif not any(content.is_live for content in possible):
            yield Fault(FaultKind.UNDEAD, f"{where} returned {id}, which was deleted")
        elif returned[id] not in {content.revision for content in possible}:
            yield Fault(FaultKind.STALE, f"{where} returned {id} as {returned[id]}: {possible}")


def _is_findable(content: Content, mode: str) -> bool:
    return content.is_live and (content.old or mode != "old")


@dataclass(frozen=True)
class Look:
    """All that a store held at some moment from one time to another."""

    begun: float
    ended: float
    phase: Phase | None
    items: list[Item]
    log_problem: str


def look(store: Store) -> Look:
    """Read everything; writers may be at work, but nobody who changes the phase."""
    names = [space.name for space in (UPGRADE.source, UPGRADE.stored, UPGRADE.mapped) if space]
    begun = monotonic()
    state, items = read_state(store), store.scan(n=_MOST_ITEMS, vectors=names)
    problem = verify_log(store.read_pointer).problem if state else None
    phase = state.phase if state else None
    return Look(begun, monotonic(), phase, items, problem or "")


def check_look(seen: Look, history: History) -> list[Fault]:
    """What a store held, against a history that was read after the look."""
    faults = []
    if seen.log_problem:
        faults.append(Fault(FaultKind.BROKEN, f"the audit log: {seen.log_problem}"))
    for id, times in Counter(item.id for item in seen.items).items():
        if times > 1:
            faults.append(Fault(FaultKind.DOUBLED, f"the store holds {id} {times} times"))
    items = {int(item.id): item for item in seen.items}
    for id in history.writes.keys() | items.keys():
        possible = history.possible(id, seen.begun, seen.ended)
        faults += _item_faults(id, items.get(id), possible, seen.phase)
    return faults


def _item_faults(
    id: int, item: Item | None, possible: set[Content], phase: Phase | None
) -> Iterator[Fault]:
    if item is None:
        if all(content.is_live for content in possible):
            yield Fault(FaultKind.LOST, f"{id} is not in the store: {possible}")
        return
    if not any(content.is_live for content in possible):
        yield Fault(FaultKind.UNDEAD, f"{id} is in the store, but was deleted")
        return
    revision = item.payload.get("revision")
    content = next((one for one in possible if one.revision == revision), None)
    if content is None:
        yield Fault(FaultKind.STALE, f"{id} has revision {revision}: {possible}")
        return
    for name, row in item.vectors.items():
        if not np.allclose(row, _expected(name, content.revision), atol=1e-5):
            text = f"{id} has a {name!r} vector that is not that of {content}"
            yield Fault(FaultKind.STALE, text)
    yield from _unfindable(id, item, content, phase)


def _unfindable(id: int, item: Item, content: Content, phase: Phase | None) -> Iterator[Fault]:
    """Vectors without which some search that is allowed in the phase does not find the item."""
    held = item.vectors.keys()
    old, new = UPGRADE.source.name, UPGRADE.stored.name
    mapped = UPGRADE.mapped.name if UPGRADE.mapped else old
    lacking = []
    if phase in _ENDING:
        lacking = [new] if new not in held else []
    elif content.old and old not in held:
        lacking = [old]
    elif new not in held and (phase is Phase.SERVING or not content.old):
        lacking = [name for name in (old, mapped) if name not in held]
    if lacking:
        text = f"{id} lacks {lacking} while the gallery is {phase}, has {sorted(held)}: {content}"
        yield Fault(FaultKind.LOST, text)


def _expected(name: str, revision: int) -> FloatArray:
    old, new = old_of(revision)[None], new_of(revision)[None]
    if name == UPGRADE.source.name:
        rows: FloatArray | None = old
    else:
        rows = UPGRADE.store_new(new) if name == UPGRADE.stored.name else UPGRADE.map_items(old)
    assert rows is not None
    row: FloatArray = rows[0]
    return row
