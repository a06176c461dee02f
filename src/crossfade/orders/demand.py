"""Query traffic as it comes: what searches want moved, as priorities for a job's queue."""

from __future__ import annotations

import math
import threading
from collections.abc import Iterable, Mapping

from crossfade.stores import Id

__all__ = ["HIGHEST_LEVEL", "DemandLevels"]

HIGHEST_LEVEL = 64
_LOWEST_DEMAND = 1 / 1024
_MOST_ITEMS = 200_000


class DemandLevels:
    """How often items were wanted, in levels of 1 to :data:`HIGHEST_LEVEL`.

    An item at place r of a query's answer counts 1/r²: what is first matters, and a query that
    is answered by backfilled items wants little. A level is half an octave, so a queue on disk
    is written some times an item, however often it is wanted. The 200,000 items that were wanted
    last are remembered. May be used by several threads.
    """

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._demand: dict[Id, float] = {}

    def count(self, wanted: Iterable[Mapping[Id, int]]) -> dict[Id, int]:
        """Count what each query wants, ids to places; returns the levels that they are on now."""
        levels = {}
        with self._lock:
            for places in wanted:
                for id, place in places.items():
                    demand = self._demand.pop(id, 0.0) + place**-2.0
                    self._demand[id] = demand  # the last one wanted is at the end
                    levels[id] = _level(demand)
            while len(self._demand) > _MOST_ITEMS:
                del self._demand[next(iter(self._demand))]
        return levels


def _level(demand: float) -> int:
    octaves = math.log2(max(demand, _LOWEST_DEMAND) / _LOWEST_DEMAND)
    return min(HIGHEST_LEVEL, 1 + math.floor(2.0 * octaves))
