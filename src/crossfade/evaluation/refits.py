"""The upgrade at every coverage of a backfill that fits its forward map again.

What a gallery does, simulated: at each milestone the map is fitted on its pairs and on the items
backfilled by then that were not among them (:mod:`crossfade.upgrade.refit`), and maps all others
from then on. If the service records the queries that it answers, it is taught by them as well
(:mod:`crossfade.upgrade.teaching`); here all of them are there at the first milestone. The
gallery's job sees that a milestone was passed only after a batch; here it is seen at once.
"""

from __future__ import annotations

import math
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from crossfade.embeddings import Pairs, QueryLog
from crossfade.evaluation.overlap import count_by_old
from crossfade.upgrade import MILESTONES, Fresh, Refit, Upgrade, taught_offset

__all__ = ["Generations", "for_gallery"]

_ROUNDING = 1e-9
_BLOCK_ROWS = 8_192


def for_gallery(upgrade: Upgrade, gallery: Pairs) -> Upgrade:
    """The upgrade as a gallery applies it that knows how many of its items the map repeats."""
    if not upgrade.may_know(len(gallery)):
        return upgrade
    return upgrade.with_known(count_by_old(gallery, upgrade.repeats) / len(gallery))


@dataclass(frozen=True)
class _Generation:
    """A later map.

    Attributes:
        items: how many are backfilled when it begins. is_taught: by recorded queries, on its way.
    """

    items: int
    upgrade: Upgrade
    is_taught: bool


class Generations:
    """Which map is in use at which coverage.

    Args:
        rows_in_order: ``(n,)`` rows of the gallery, the one that is backfilled first in front.
        recorded: queries that the service has answered by the first milestone, or None.
    """

    def __init__(
        self,
        upgrade: Upgrade,
        gallery: Pairs,
        rows_in_order: NDArray[np.intp],
        recorded: QueryLog | None = None,
    ) -> None:
        self._upgrade = upgrade
        self._gallery = gallery
        self._rows = rows_in_order
        self._recorded = recorded
        self._after: list[_Generation] | None = None

    @property
    def change(self) -> bool:
        """Whether the map may change on the way."""
        return self._upgrade.refit is not None

    @property
    def learned_from(self) -> int:
        """How many recorded queries any map that was asked for was taught by."""
        taught = any(one.is_taught for one in self._after or ())
        return len(self._recorded) if taught and self._recorded is not None else 0

    def at(self, coverage: float) -> Upgrade:
        """The upgrade with the map in use once so much is backfilled."""
        backfilled = int(np.rint(coverage * len(self._rows)))
        present = self._upgrade
        for one in self._later():
            if one.items <= backfilled:
                present = one.upgrade
        return present

    def _later(self) -> list[_Generation]:
        refit = self._upgrade.refit
        if self._after is None:
            self._after = [] if refit is None else self._generations(refit)
        return self._after

    def _generations(self, refit: Refit) -> list[_Generation]:
        found: list[_Generation] = []
        upgrade, untaught = self._upgrade, self._recorded
        pairs, present = refit.moments.n, upgrade
        for milestone in MILESTONES:
            items = math.ceil(milestone * len(self._rows) - _ROUNDING)
            extra = _fresh(upgrade, refit, self._gallery, self._rows[:items])
            following = None
            if extra is not None and refit.has_grown(pairs, extra.n):
                following = present.refitted(extra)
            if following is not None and extra is not None:
                pairs = refit.moments.n + extra.n
            offset = None if untaught is None else taught_offset(upgrade, untaught, extra)
            if offset is not None:
                forward = (following or present).forward
                assert forward is not None
                following = present.with_offset(offset).with_map(forward, pairs)
                untaught = None
            if following is not None:
                present = following
                is_taught = self._recorded is not None and untaught is None
                found.append(_Generation(items, present, is_taught))
        return found


def _fresh(upgrade: Upgrade, refit: Refit, gallery: Pairs, rows: NDArray[np.intp]) -> Fresh | None:
    """The backfilled items that were not fitted on; None if there are none."""
    ordered, total = np.sort(rows), None
    # Block by block: galleries on disk may be larger than memory.
    for start in range(0, len(ordered), _BLOCK_ROWS):
        part = ordered[start : start + _BLOCK_ROWS]
        ids = gallery.ids[part].tolist()
        stored = upgrade.store_new(gallery.new_rows(part))
        more = refit.gather(ids, gallery.old_rows(part), stored, len(rows))
        if more is not None:
            total = more if total is None else total + more
    return total
