"""Which items a query wants re-extracted: its best candidates that are not yet backfilled."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from itertools import chain, zip_longest

from crossfade.gallery.merge import Candidate
from crossfade.gallery.request import Queries, Request
from crossfade.gallery.sides import TwoSides
from crossfade.stores import Id
from crossfade.upgrade import Mode, OldSide, Upgrade

__all__ = ["Finder", "Wanted", "in_turn"]

Wanted = Mapping[Id, int]
"""Items that one query wants, best first, with their places in its answer: 1 for the best, and
backfilled items take places too."""


@dataclass(frozen=True, eq=False)
class Finder:
    """Finds the candidates of some queries."""

    sides: TwoSides
    queries: OldSide

    @classmethod
    def of(cls, sides: TwoSides, upgrade: Upgrade, queries: Queries) -> Finder:
        """Where the queries' old embeddings are given and the upgrade has a rule for two encoders,
        candidates are the best by both models, whatever the mode; else as the mode scores them.

        Raises:
            InvalidInput: as :meth:`Upgrade.old_side`. SpaceMismatch: likewise.
        """
        both = queries.old is not None and upgrade.two_encoder is not None
        mode = Mode.TWO_ENCODER if both else queries.mode
        return cls(sides, upgrade.old_side(queries.new, queries.old, mode))

    def best(self, request: Request) -> list[list[Id]]:
        """The ``request.k`` best candidates of each query, best first."""
        return [[one.id for one in listed] for listed in self._waiting(request)]

    def places(self, request: Request) -> Sequence[Wanted]:
        """The same, with their places. The new side is searched for them, too."""
        waiting = self._waiting(request)
        if not any(waiting):
            return [{} for _ in waiting]
        coverage = self.sides.coverage_for(self.queries)
        return self.sides.places(waiting, self.queries, request, coverage)

    def _waiting(self, request: Request) -> list[list[Candidate]]:
        return self.sides.waiting(self.queries, request)


def in_turn(wanted: Iterable[Iterable[Id]]) -> list[Id]:
    """The best of all queries before the second best, each id once."""
    mixed = chain.from_iterable(zip_longest(*wanted))
    return [id for id in dict.fromkeys(mixed) if id is not None]
