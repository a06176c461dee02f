"""A gallery's durable record: its state and the last line of its audit log, in one pointer.

A change of phase and the line that tells of it are one compare-and-set, so neither is ever there
without the other. Earlier lines have a pointer each, which is written before its line is followed
by another, and never changed.
"""

from __future__ import annotations

import json
from collections.abc import Callable, Mapping, Sequence
from dataclasses import asdict, dataclass, replace
from typing import Any

from crossfade.errors import GalleryStateError, StoreError
from crossfade.gallery.audit import AuditLine, Entry, Verdict, chain, verify_lines
from crossfade.gallery.moves import MOVES, State
from crossfade.gallery.state import GalleryState, Phase
from crossfade.stores import Draft, Store
from crossfade.upgrade import Upgrade

__all__ = [
    "ReadPointer",
    "Record",
    "append",
    "change_phase",
    "log_move",
    "put_under",
    "read_log",
    "read_record",
    "read_record_of",
    "read_state",
    "verify_log",
]

_POINTER = "crossfade.gallery"
_LINE_POINTER = "crossfade.audit.{}"
_FORMAT = 2
_CHAINED_FORMAT = 3
"""Of galleries in a chain, which a release that knows of none must leave alone."""
_TAUGHT_FORMAT = 4
"""Likewise of galleries that recorded queries teach."""
_ATTEMPTS = 50

ReadPointer = Callable[[str], str | None]


@dataclass(frozen=True)
class Record:
    """What the pointer holds.

    Attributes:
        state: None before the first start.
        line: the last line of the audit log.
    """

    state: GalleryState | None
    line: AuditLine

    @property
    def shown(self) -> State:
        """The state after the last recorded move."""
        return State(self.line.after)

    def dump(self) -> str:
        """As text."""
        state = self.state.to_fields() if self.state else None
        fields = {"format": _form(self.state), "state": state, "line": asdict(self.line)}
        return json.dumps(fields, sort_keys=True)

    @classmethod
    def restore(cls, text: str) -> Record:
        """From :meth:`dump`.

        Raises:
            StoreError: written by another release, or damaged.
        """
        try:
            fields = json.loads(text)
            if not _FORMAT <= (form := fields["format"]) <= _TAUGHT_FORMAT:
                raise StoreError(
                    f"the gallery's state has format {form}, this release reads {_TAUGHT_FORMAT}; "
                    "install the release that wrote it"
                )
            state = GalleryState.from_fields(fields["state"]) if fields["state"] else None
            return cls(state, AuditLine(**fields["line"]))
        except (KeyError, TypeError, ValueError) as error:
            raise StoreError(f"the gallery's state can't be read: {error!r}") from error


def _form(state: GalleryState | None) -> int:
    """The lowest format that says all of it."""
    states = [one for one in (state, state.earlier if state else None) if one is not None]
    taught = any(one.fitted is not None and one.fitted.queries for one in states)
    if taught or any(one.settings is not None and one.settings.queries for one in states):
        return _TAUGHT_FORMAT
    return _CHAINED_FORMAT if len(states) > 1 else _FORMAT


def read_record(read_pointer: ReadPointer) -> Record | None:
    """The record kept with a collection, or None if nothing was ever done with it."""
    text = read_pointer(_POINTER)
    return None if text is None else Record.restore(text)


def read_state(store: Store) -> GalleryState | None:
    """The state kept in a store, or None if no upgrade was started on it."""
    record = read_record(store.read_pointer)
    return record.state if record else None


def read_record_of(store: Store, upgrade: Upgrade) -> tuple[Record, GalleryState]:
    """The record and the state in it, which must be that of ``upgrade``.

    Raises:
        GalleryStateError: another upgrade has been started since.
    """
    record = read_record(store.read_pointer)
    state = record.state if record else None
    if record is None or state is None or state.upgrade_id != upgrade.id:
        raise GalleryStateError(
            "another upgrade has been started on the gallery since; open it again"
        )
    return record, state


def put_under(store: Store, record: Record, drafts: Sequence[Draft]) -> bool:
    """Put items if the record is still that one; returns whether it was."""
    return store.put_if(drafts, _POINTER, record.dump())


def append(
    store: Store, present: Record | None, following: GalleryState | None, entry: Entry
) -> Record | None:
    """Make a new state and the line that tells of it durable, in one step.

    Returns:
        The new record; None if ``present`` is no longer the record.
    """
    if present is not None:
        _keep_line(store, present.line)
    record = Record(following, chain(present.line if present else None, entry))
    swapped = store.swap_pointer(_POINTER, present.dump() if present else None, record.dump())
    return record if swapped else None


def change_phase(
    store: Store,
    present: GalleryState,
    phase: Phase,
    *,
    before: State | None = None,
    after: State | None = None,
    actor: str | None = None,
    details: Mapping[str, Any] | None = None,
    returning: GalleryState | None = None,
) -> GalleryState:
    """Go on to another phase, durably.

    Args:
        returning: a state of an earlier upgrade that takes this one's place, with that phase.
        before: the state as the user sees it; by default that after the last line.
        after: likewise; by default that of the phase.

    Raises:
        GalleryStateError: somebody else has changed it.
    """
    following = replace(returning or present, phase=phase)
    if phase in (Phase.FINISHED, Phase.ROLLED_BACK):
        following = replace(following, fitted=None, known=0)
    shown = after or phase.state
    move = next(
        move.name
        for move in MOVES.values()
        if shown in move.targets and (after is None or present.phase.state in move.sources)
    )

    def entry(record: Record) -> Entry:
        return Entry(move, before or record.shown, shown, actor, details)

    _append_to(store, present, following, entry)
    return following


def log_move(
    store: Store,
    move: str,
    after: State,
    *,
    before: State | None = None,
    actor: str | None = None,
    details: Mapping[str, Any] | None = None,
) -> None:
    """Record a move that leaves the gallery's phase as it is.

    Raises:
        GalleryStateError: no upgrade was ever started.
    """
    _append_to(
        store,
        None,
        None,
        lambda record: Entry(move, before or record.shown, after, actor, details),
    )


def read_log(read_pointer: ReadPointer) -> list[str]:
    """All lines of the audit log, the first first; a missing one is an empty text."""
    record = read_record(read_pointer)
    if record is None:
        return []
    earlier = range(1, record.line.number)
    return [read_pointer(_LINE_POINTER.format(n)) or "" for n in earlier] + [record.line.text]


def verify_log(read_pointer: ReadPointer) -> Verdict:
    """Check a collection's own log, and that it ends in the state that the collection is in."""
    lines = read_log(read_pointer)
    verdict = verify_lines(lines)
    record = read_record(read_pointer)
    if verdict.whole and record is not None and record.state is not None:
        told = record.shown
        phase = record.state.phase
        if told is not phase.state and (phase is not Phase.SERVING or told in _PHASE_STATES):
            problem = f"it says {told.value}, but the gallery is {phase.value}"
            return replace(verdict, bad_line=verdict.lines, problem=problem)
    return verdict


_PHASE_STATES = {phase.state for phase in Phase} - {State.STARTED}


def _append_to(
    store: Store,
    present: GalleryState | None,
    following: GalleryState | None,
    entry: Callable[[Record], Entry],
) -> None:
    """Append, again and again if other lines come between; ``present`` None leaves the state."""
    for _ in range(_ATTEMPTS):
        record = read_record(store.read_pointer)
        if record is None:
            raise GalleryStateError("no upgrade was started on this collection; start one first")
        if present is not None and record.state != present:
            raise GalleryStateError(
                f"the gallery is no longer {present.phase.value}; somebody else has changed it. "
                "Open it again"
            )
        if append(store, record, following or record.state, entry(record)) is not None:
            return
    raise GalleryStateError("the gallery's record changes all the time; try again")


def _keep_line(store: Store, line: AuditLine) -> None:
    """Give a line its own pointer; a second writer finds it there."""
    name = _LINE_POINTER.format(line.number)
    if not store.swap_pointer(name, None, line.text) and store.read_pointer(name) != line.text:
        raise StoreError(
            f"line {line.number} of the audit log is not the one that was recorded; "
            "look at it with: crossfade audit URI"
        )
