"""Rank merge: two lists of one query, one for each side, as one.

Both sides' scores must be on one scale; :mod:`crossfade.upgrade` sees to that.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Literal

from crossfade.stores import Id, Match, id_order

__all__ = ["Candidate", "Found", "HitSide", "merge", "moved_meanwhile"]

HitSide = Literal["new", "old"]
"""The side on which a search found an item."""


@dataclass(frozen=True, slots=True)
class Candidate:
    """A search result before its payload is read."""

    id: Id
    version: int
    score: float
    side: HitSide


Found = Match | Candidate
"""An item as one side's search names it."""


def merge(old: Sequence[Found], new: Sequence[Found], k: int) -> list[Candidate]:
    """The k best of both sides, ties by id.

    An item that was moved between the two searches is in both lists; the new side wins.
    """
    on_new_side = {match.id for match in new}
    candidates = [_candidate(match, "new") for match in new]
    candidates += [_candidate(match, "old") for match in old if match.id not in on_new_side]
    return sorted(candidates, key=lambda found: (-found.score, id_order(found.id)))[:k]


def moved_meanwhile(old: Sequence[Found], new: Sequence[Found]) -> int:
    """How many items both lists hold."""
    return len({match.id for match in old} & {match.id for match in new})


def _candidate(match: Found, side: HitSide) -> Candidate:
    return Candidate(match.id, match.version, match.score, side)
