"""Moves and sweeps of one run are kept apart."""

from __future__ import annotations

import pytest

from crossfade.backfill.gate import Gate


def test_many_move_at_once_and_nobody_sweeps_meanwhile() -> None:
    gate = Gate()
    with gate.moving() as first, gate.moving() as second, gate.sweeping() as sweep:
        assert (first, second, sweep) == (True, True, False)
    with gate.sweeping() as sweep:
        assert sweep


def test_one_sweeps_and_nobody_moves_meanwhile() -> None:
    gate = Gate()
    with gate.sweeping() as first, gate.sweeping() as second, gate.moving() as move:
        assert (first, second, move) == (True, False, False)
    with gate.moving() as move:
        assert move


def test_a_failure_inside_opens_it_again() -> None:
    gate = Gate()
    for way in (gate.moving, gate.sweeping):
        with pytest.raises(OSError, match="away"), way():
            raise OSError("away")
        with gate.sweeping() as sweep:
            assert sweep
