"""The lifecycle as one table: the states a user sees, and the moves allowed from each.

Every command and every method that changes where an upgrade stands is checked by this table, and
``docs/lifecycle.md`` is generated from it by ``docs/generate_lifecycle.py``.
"""

from __future__ import annotations

from collections.abc import Collection
from dataclasses import dataclass
from enum import StrEnum

from crossfade.errors import GalleryStateError

__all__ = [
    "MOVES",
    "Move",
    "State",
    "as_markdown",
    "check_move",
    "generated_page",
    "moves_from",
    "next_command",
]


class State(StrEnum):
    """Where an upgrade stands."""

    NOT_STARTED = "not-started"
    ATTACHED = "attached"
    PREPARING = "preparing"
    STARTED = "started"
    NEW = "started"
    RUNNING = "running"
    INTERRUPTED = "interrupted"
    PAUSED = "paused"
    PARKED = "parked"
    BEHIND = "behind"
    COMPLETE = "complete"
    FINISHING = "finishing"
    FINISHED = "finished"
    ROLLING_BACK = "rolling-back"
    ROLLED_BACK = "rolled-back"


_MEANINGS: dict[State, str] = {
    State.NOT_STARTED: "The collection as it is; no upgrade was ever started on it.",
    State.ATTACHED: "A collection of somebody else's was named to Crossfade; nothing was moved.",
    State.PREPARING: "Started; old vectors are still to be mapped, only the old system answers.",
    State.STARTED: "Both sides answer; the backfill has not begun.",
    State.RUNNING: "The backfill is at work.",
    State.INTERRUPTED: "The backfill died at work. Nothing that was written is lost.",
    State.PAUSED: "The backfill was stopped, on purpose or by an error.",
    State.PARKED: "All is moved but the items that the encoder failed on.",
    State.BEHIND: "Items without new embeddings were written faster than they were moved.",
    State.COMPLETE: "Every item is on the new side; the way back is still open.",
    State.FINISHING: "Decided: the old side is being dropped.",
    State.FINISHED: "Only the new side is left; there is no way back.",
    State.ROLLING_BACK: "Decided: the new side is being dropped.",
    State.ROLLED_BACK: "The old system, as it was.",
}

_NEXT: dict[State, str] = {
    State.NOT_STARTED: "crossfade start {uri} --upgrade DIR --encoder SPEC",
    State.ATTACHED: "crossfade start {uri} --upgrade DIR --encoder SPEC",
    State.PREPARING: "crossfade backfill {uri}",
    State.STARTED: "crossfade backfill {uri}",
    State.RUNNING: "crossfade status {uri}",
    State.INTERRUPTED: "crossfade backfill {uri}",
    State.PAUSED: "crossfade resume {uri}",
    State.PARKED: "crossfade retry-parked {uri}",
    State.BEHIND: "crossfade backfill {uri}",
    State.COMPLETE: "crossfade finish {uri}",
    State.FINISHING: "crossfade finish {uri}",
    State.FINISHED: "crossfade start {uri} --upgrade NEXT --encoder SPEC",
    State.ROLLING_BACK: "crossfade rollback {uri}",
    State.ROLLED_BACK: "crossfade start {uri} --upgrade DIR --encoder SPEC",
}


_RUN_NEXT = (
    State.PREPARING,
    State.STARTED,
    State.INTERRUPTED,
    State.PAUSED,
    State.BEHIND,
)


@dataclass(frozen=True)
class Move:
    """A way from one state to another.

    Attributes:
        sources: the states that it is allowed from.
        targets: the states that it may lead to.
        by_user: whether it is a command; the others are made by the system on the way.
        condition: what must hold besides, in words; empty if nothing.
    """

    name: str
    sources: frozenset[State]
    targets: frozenset[State]
    by_user: bool
    meaning: str
    condition: str = ""


def _move(
    name: str,
    sources: Collection[State],
    targets: Collection[State],
    meaning: str,
    condition: str = "",
    *,
    by_user: bool = True,
) -> Move:
    return Move(name, frozenset(sources), frozenset(targets), by_user, meaning, condition)


_STOPPED = (State.INTERRUPTED, State.PAUSED, State.PARKED, State.BEHIND)
_AT_REST = (State.STARTED, *_STOPPED, State.COMPLETE)

MOVES: dict[str, Move] = {
    move.name: move
    for move in (
        _move(
            "attach",
            [State.NOT_STARTED],
            [State.ATTACHED],
            "Name an existing collection, in place.",
        ),
        _move(
            "detach",
            [State.ATTACHED, State.ROLLED_BACK],
            [State.NOT_STARTED],
            "Leave it as it was found.",
        ),
        _move(
            "start",
            [State.NOT_STARTED, State.ATTACHED, State.ROLLED_BACK, State.FINISHED],
            [State.PREPARING],
            "Begin an upgrade.",
            "the collection holds the upgrade's old space",
        ),
        _move(
            "backfill",
            [State.PREPARING, *_AT_REST, State.RUNNING],
            [State.RUNNING],
            "Run the backfill, go on with it, or join it.",
            "while it runs, the store serves several processes",
        ),
        _move("pause", [State.RUNNING], [State.PAUSED], "Stop the backfill after its batch."),
        _move(
            "resume",
            [State.INTERRUPTED, State.PAUSED, State.BEHIND],
            [State.RUNNING],
            "Go on with a backfill that was begun.",
        ),
        _move(
            "retry-parked",
            _STOPPED,
            [State.PAUSED],
            "Put parked items back into the queue.",
            "items are parked",
        ),
        _move(
            "rollback",
            [State.PREPARING, *_AT_REST, State.ROLLING_BACK],
            [State.ROLLING_BACK],
            "Restore the old system exactly.",
            "every item holds an old vector, or is left out on purpose",
        ),
        _move(
            "finish",
            [*_AT_REST, State.FINISHING],
            [State.FINISHING],
            "Drop the old side for good.",
            "coverage is 1 and nothing is parked",
        ),
        _move(
            "supersede",
            _AT_REST,
            [State.PREPARING],
            "The next upgrade, chained to the one under way, begins in its middle.",
            by_user=False,
        ),
        _move(
            "prepared",
            [State.PREPARING],
            [State.STARTED],
            "All old vectors are mapped; both sides answer.",
            by_user=False,
        ),
        _move(
            "refit",
            [State.RUNNING],
            [State.RUNNING],
            "The forward map was fitted again on backfilled items, or taught by recorded queries.",
            by_user=False,
        ),
        _move(
            "remap",
            [State.RUNNING],
            [State.RUNNING],
            "All items not yet backfilled are mapped by it.",
            by_user=False,
        ),
        _move(
            "complete",
            [State.RUNNING],
            [State.COMPLETE],
            "The backfill has moved every item.",
            by_user=False,
        ),
        _move(
            "park",
            [State.RUNNING],
            [State.PARKED],
            "The backfill has moved all but parked items.",
            by_user=False,
        ),
        _move(
            "fall-behind",
            [State.RUNNING],
            [State.BEHIND],
            "The backfill stopped chasing its writers.",
            by_user=False,
        ),
        _move(
            "reopened",
            [State.FINISHING, State.ROLLING_BACK],
            [State.BEHIND],
            "Taken back: an item was written meanwhile that would have been lost.",
            by_user=False,
        ),
        _move(
            "finished",
            [State.FINISHING],
            [State.FINISHED],
            "The old side is dropped.",
            by_user=False,
        ),
        _move(
            "returned",
            [State.ROLLING_BACK],
            [State.STARTED],
            "The new side is dropped; the upgrade that was under way before goes on.",
            by_user=False,
        ),
        _move(
            "rolled-back",
            [State.ROLLING_BACK],
            [State.ROLLED_BACK],
            "The new side is dropped.",
            by_user=False,
        ),
    )
}


def moves_from(state: State) -> list[str]:
    """The commands allowed from a state, in the table's order."""
    return [move.name for move in MOVES.values() if move.by_user and state in move.sources]


def next_command(state: State, uri: str = "URI", *, is_told: bool = True) -> str:
    """What to type next.

    Args:
        is_told: whether the collection keeps what a backfill needs to know, as ``start`` does; a
            program that starts an upgrade does not.
    """
    options = "" if is_told or state not in _RUN_NEXT else " --upgrade DIR --encoder SPEC"
    return _NEXT[state].format(uri=uri) + options


def check_move(name: str, state: State, uri: str = "URI") -> None:
    """Refuse a move that the table does not allow.

    Raises:
        GalleryStateError: names the state, the moves allowed from it, and what to type next.
    """
    if state not in MOVES[name].sources:
        allowed = ", ".join(moves_from(state)) or "none but waiting"
        raise GalleryStateError(
            f"the gallery is {state.value}: {_MEANINGS[state]} {name!r} is not allowed now; "
            f"allowed: {allowed}. Next: {next_command(state, uri)}"
        )


def as_markdown() -> str:
    """Both tables, for the docs."""
    states = ["| state | meaning | allowed | next command |", "|---|---|---|---|"]
    states += [
        f"| `{state.value}` | {meaning} | {', '.join(moves_from(state)) or '-'} | "
        f"`{next_command(state)}` |"
        for state, meaning in _MEANINGS.items()
    ]
    moves = ["| move | from | to | what it does | if |", "|---|---|---|---|---|"]
    moves += [
        f"| {move.name if move.by_user else f'*{move.name}*'} | {_listed(move.sources)} | "
        f"{_listed(move.targets)} | {move.meaning} | {move.condition or '-'} |"
        for move in MOVES.values()
    ]
    return "\n".join(["## States", "", *states, "", "## Moves", "", *moves, ""])


def _listed(states: Collection[State]) -> str:
    return ", ".join(state.value for state in State if state in states)


_BEGIN, _END = "<!-- generated: begin -->\n", "<!-- generated: end -->\n"


def generated_page(page: str) -> str:
    """A page of docs with the tables between its marks made anew."""
    before, _, rest = page.partition(_BEGIN)
    _, _, after = rest.partition(_END)
    return f"{before}{_BEGIN}{as_markdown()}{_END}{after}"
