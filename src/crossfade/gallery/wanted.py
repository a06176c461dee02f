"""Which items a query wants re-extracted: its best candidates that are not yet backfilled."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping, Sequence
from itertools import chain, zip_longest

from crossfade.gallery.request import Queries, Request
from crossfade.gallery.sides import TwoSides
from crossfade.stores import Id
from crossfade.upgrade import Mode, Upgrade

__all__ = ["Find", "Wanted", "finder", "in_turn"]

Wanted = Mapping[Id, int]
"""Items that one query wants, best first, with their places in its answer: 1 for the best, and
backfilled items take places too."""
Find = Callable[[Request, float], Sequence[Wanted]]
"""The ``request.k`` best candidates of each query at a coverage."""


def finder(sides: TwoSides, upgrade: Upgrade, queries: Queries) -> Find:
    """What finds the candidates of these queries.

    Where the queries' old embeddings are given and the upgrade has a rule for two encoders,
    candidates are the best by both models, whatever the mode; else as the mode scores them.

    Raises:
        InvalidInput: as :meth:`Upgrade.old_side`. SpaceMismatch: likewise.
    """
    both = queries.old is not None and upgrade.two_encoder is not None
    mode = Mode.TWO_ENCODER if both else queries.mode
    side = upgrade.old_side(queries.new, queries.old, mode)
    return lambda request, coverage: sides.waiting(side, request, coverage)


def in_turn(wanted: Iterable[Wanted]) -> list[Id]:
    """The best of all queries before the second best, each id once."""
    mixed = chain.from_iterable(zip_longest(*wanted))
    return [id for id in dict.fromkeys(mixed) if id is not None]
