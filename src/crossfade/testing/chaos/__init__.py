"""Proof by destruction: a gallery's whole life under live traffic, killed again and again.

    report = torment(lambda life: f"qdrant://{folder}/{life}", folder, kills=200)
    assert not report.faults

``life`` is the program that is killed: it starts an upgrade, backfills a part, rolls back, starts
again, backfills, is paused and resumed, and finishes. ``traffic`` writes and searches meanwhile and
notes all it does in a ``ledger``; ``checks`` compares the ledger with what searches returned and
with what the store holds; ``torment`` kills and counts.
"""

from crossfade.testing.chaos.checks import Fault, FaultKind
from crossfade.testing.chaos.torment import MOMENTS, Report, torment

__all__ = ["MOMENTS", "Fault", "FaultKind", "Report", "torment"]
