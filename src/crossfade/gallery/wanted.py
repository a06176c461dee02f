"""Which items a query wants re-extracted: its best candidates that are not yet backfilled."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from itertools import chain, zip_longest

from crossfade.embeddings import FloatArray, Space
from crossfade.gallery.request import Request, closest
from crossfade.stores import Id, Store

__all__ = ["View", "wanted"]

View = tuple[Space, FloatArray]
"""An index of old-side items, and queries ``(q, d)`` of its space."""


def wanted(store: Store, views: Sequence[View], lacks: str, request: Request) -> list[Id]:
    """The ``request.k`` best candidates of each query, best first, each id once.

    Each view in turn names its next best item until there are ``k`` for a query: half of them
    come from either of two views, and an item that both name takes one place. The best of all
    queries come before the second best.

    Args:
        lacks: the space whose vectors backfilled items hold.
    """
    found = [closest(store, space, queries, request, lacks=lacks) for space, queries in views]
    of_each_query = [
        _in_turn([[match.id for match in matches] for matches in lists], request.k)
        for lists in zip(*found, strict=True)
    ]
    return _in_turn(of_each_query)


def _in_turn(lists: Sequence[Iterable[Id]], most: int | None = None) -> list[Id]:
    """One entry of each list after the other, each once, up to ``most``."""
    mixed = chain.from_iterable(zip_longest(*lists))
    return [id for id in dict.fromkeys(mixed) if id is not None][:most]
