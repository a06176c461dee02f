"""What a search is asked, what it wants, and one view's answer to it."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

from crossfade.embeddings import FloatArray, Space
from crossfade.stores import Filter, Match, Store
from crossfade.upgrade import Mode

__all__ = ["Queries", "Request", "closest"]


@dataclass(frozen=True, eq=False)
class Queries:
    """Queries as they were given, unchecked.

    Attributes:
        new: ``(q, d_new)`` or ``(d_new,)`` by the new model. old: likewise by the old one.
        mode: which of them to search by.
    """

    new: Any | None
    old: Any | None
    mode: Mode


@dataclass(frozen=True, eq=False)
class Request:
    """What is wanted: the k best, of the items that pass the filter."""

    k: int
    filter: Filter | None
    exact: bool


def closest(
    store: Store, space: Space, queries: FloatArray, request: Request, lacks: str | None = None
) -> list[list[Match]]:
    """The k best items that hold a vector of ``space``, for each query of that space.

    Args:
        queries: ``(q, d)`` unit rows.
        lacks: leave out items that hold a vector of this space too.
    """
    return store.search(
        space.name,
        queries,
        request.k,
        lacks=lacks,
        filter=request.filter,
        exact=request.exact,
    )
