"""Where an upgrade's map works, and how a query searches."""

from __future__ import annotations

from enum import StrEnum
from typing import NoReturn

from crossfade.errors import InvalidInput

__all__ = ["Mode", "Side"]


class Side(StrEnum):
    """On which side of the old part of the gallery the map works."""

    QUERY = "query"
    """psi maps the new query to the old space; stored vectors stay untouched."""
    ITEMS = "items"
    """A forward map rewrites old vectors into the new space once, before the backfill."""
    NONE = "none"
    """No map: the old query searches the old vectors (two encoder passes)."""


class Mode(StrEnum):
    """How a query searches."""

    ONE_ENCODER = "one-encoder"
    """The new embedding of the query alone."""
    TWO_ENCODER = "two-encoder"
    """The old embedding too: both models score the items not yet backfilled."""
    OLD = "old"
    """The old system, exactly: old query, old vectors, at any coverage."""

    @classmethod
    def _missing_(cls, value: object) -> NoReturn:
        raise InvalidInput(f"unknown mode {value!r}; choose one of {', '.join(cls)}")
