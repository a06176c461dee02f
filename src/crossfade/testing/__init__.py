"""For tests, also other people's: the store contract, fakes, generated worlds, crashes.

``StoreContract`` and ``store_machine`` need pytest and Hypothesis; import them from
:mod:`crossfade.testing.store_contract` and :mod:`crossfade.testing.machine`.
"""

from crossfade.testing.crash import CrashedRun, die_at, run_script
from crossfade.testing.encoders import FakeEncoder, encoded_ids
from crossfade.testing.reference import Embedded, expected_ids
from crossfade.testing.upgrades import make_upgrade
from crossfade.testing.worlds import World, make_world

__all__ = [
    "CrashedRun",
    "Embedded",
    "FakeEncoder",
    "World",
    "die_at",
    "encoded_ids",
    "expected_ids",
    "make_upgrade",
    "make_world",
    "run_script",
]
