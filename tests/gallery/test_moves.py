"""The table of the lifecycle: every allowed and every forbidden move, and its page."""

import re
from itertools import product
from pathlib import Path

import pytest

from crossfade.errors import GalleryStateError
from crossfade.gallery.moves import (
    MOVES,
    State,
    check_move,
    generated_page,
    moves_from,
    next_command,
)

PAGE = Path(__file__).parents[2] / "docs" / "lifecycle.md"
ALLOWED = """
not-started   attach start
attached      detach start
preparing     backfill rollback
started       backfill rollback finish
running       backfill pause
interrupted   backfill resume retry-parked rollback finish
paused        backfill resume retry-parked rollback finish
parked        backfill retry-parked rollback finish
behind        backfill resume retry-parked rollback finish
complete      backfill rollback finish
finishing     finish
finished      start
rolling-back  rollback
rolled-back   detach start
"""
TABLE = {line.split()[0]: line.split()[1:] for line in ALLOWED.strip().splitlines()}
COMMANDS = [move.name for move in MOVES.values() if move.by_user]


def test_the_table_names_every_state_and_every_command() -> None:
    assert set(TABLE) == {state.value for state in State}
    assert set(COMMANDS) == {move for moves in TABLE.values() for move in moves}


@pytest.mark.parametrize(("state", "move"), list(product(State, COMMANDS)))
def test_a_move_is_allowed_or_refused_as_the_table_says(state: State, move: str) -> None:
    if move in TABLE[state.value]:
        check_move(move, state)
        return
    with pytest.raises(GalleryStateError) as refused:
        check_move(move, state, "qdrant://g")
    text = str(refused.value)
    assert f"is {state.value}:" in text and repr(move) in text
    assert f"allowed: {', '.join(moves_from(state))}" in text
    assert text.endswith(next_command(state, "qdrant://g"))


def test_every_state_can_be_reached_and_left() -> None:
    reached = {state for move in MOVES.values() for state in move.targets}
    assert reached | {State.NOT_STARTED, State.INTERRUPTED} == set(State)
    assert all(any(state in move.sources for move in MOVES.values()) for state in State)


def test_no_way_leads_back_from_finished() -> None:
    assert "rollback" not in moves_from(State.FINISHED) + moves_from(State.FINISHING)


def test_the_next_command_is_an_allowed_one() -> None:
    for state in State:
        command = re.match(r"crossfade ([a-z-]+)", next_command(state))
        assert command is not None
        assert command.group(1) in [*moves_from(state), "status"]


def test_the_page_is_the_tables() -> None:
    page = PAGE.read_text(encoding="utf-8")
    assert generated_page(page) == page, "run: python docs/generate_lifecycle.py"
    assert all(f"| `{state.value}` |" in page for state in State)


def test_what_to_type_next_names_what_nobody_knows_where_a_program_has_started() -> None:
    for state in State:
        told, untold = next_command(state, "URI"), next_command(state, "URI", is_told=False)
        runs = told.startswith(("crossfade backfill", "crossfade resume"))
        assert untold == (f"{told} --upgrade DIR --encoder SPEC" if runs else told)
