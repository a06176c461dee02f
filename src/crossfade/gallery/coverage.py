"""The share of items on the new side, counted no more often than it is cheap."""

from __future__ import annotations

import time

from crossfade.stores import Store

__all__ = ["CoverageGauge", "coverage_of", "share_moved"]

_SMALL_GALLERY = 50_000
"""Counting so many items is cheap beside searching them."""
_SHARE_OF_TIME = 20
"""Counting a larger gallery takes at most one part in so many of the time."""


def coverage_of(store: Store, stored: str) -> float:
    """The share of items that hold a vector of the space ``stored``, 0 to 1.

    Nothing is left to move in an empty gallery: 1.
    """
    items = store.count()
    return share_moved(items, store.count(lacks=stored))


def share_moved(items: int, left: int) -> float:
    """The coverage of a gallery of so many items, of which so many are left to move.

    Counted in two moments, between which items come and go, so it is held at 0.
    """
    return max(items - left, 0) / items if items else 1.0


class CoverageGauge:
    """The coverage for searches whose scores depend on it.

    In large galleries it may be some seconds old: a database takes its time to count millions.
    """

    def __init__(self, store: Store, stored: str) -> None:
        self._store = store
        self._stored = stored
        self._value = 0.0
        self._valid_until = 0.0

    def read(self) -> float:
        """The coverage, 0 to 1."""
        started = time.monotonic()
        if started >= self._valid_until:
            items = self._store.count()
            self._value = share_moved(items, self._store.count(lacks=self._stored))
            if items > _SMALL_GALLERY:
                cost = time.monotonic() - started
                self._valid_until = started + _SHARE_OF_TIME * cost
        return self._value
