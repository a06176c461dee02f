"""For tests, also other people's: the store contract, fakes, worlds, crashes, a PostgreSQL server.

``StoreContract`` and ``store_machine`` need pytest and Hypothesis, which are imported when one of
the two is first asked for.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from crossfade.testing.crash import CrashedRun, die_at, run_script
from crossfade.testing.encoders import FakeEncoder, encoded_ids
from crossfade.testing.filled import encoder_of, fill, upgrade_of
from crossfade.testing.postgres import PostgresServer
from crossfade.testing.reference import Embedded, expected_candidates, expected_ids
from crossfade.testing.shifted_world import ShiftedWorld
from crossfade.testing.upgrades import make_upgrade
from crossfade.testing.worlds import World, make_world

if TYPE_CHECKING:
    from crossfade.testing.machine import store_machine
    from crossfade.testing.store_contract import StoreContract

__all__ = [
    "CrashedRun",
    "Embedded",
    "FakeEncoder",
    "PostgresServer",
    "ShiftedWorld",
    "StoreContract",
    "World",
    "die_at",
    "encoded_ids",
    "encoder_of",
    "expected_candidates",
    "expected_ids",
    "fill",
    "make_upgrade",
    "make_world",
    "run_script",
    "store_machine",
    "upgrade_of",
]


def __getattr__(name: str) -> Any:
    if name == "StoreContract":
        from crossfade.testing.store_contract import StoreContract

        return StoreContract
    if name == "store_machine":
        from crossfade.testing.machine import store_machine

        return store_machine
    raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
