"""The upgrade at every coverage of a backfill that fits its forward map again.

What a gallery does, simulated: at each milestone the map is fitted on its pairs and on the items
backfilled by then that were not among them (:mod:`crossfade.upgrade.refit`), and maps all others
from then on. If the service records the queries that it answers, it is taught by them as well
(:mod:`crossfade.upgrade.teaching`); here all of them are there at the first milestone. The
gallery's job sees that a milestone was passed only after a batch; here it is seen at once.
"""

from __future__ import annotations

import math

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
        self._after: list[tuple[int, Upgrade]] | None = None

    @property
    def change(self) -> bool:
        """Whether the map may change on the way."""
        return self._upgrade.refit is not None

    def at(self, coverage: float) -> Upgrade:
        """The upgrade with the map in use once so much is backfilled."""
        if self._upgrade.refit is None:
            return self._upgrade
        if self._after is None:
            self._after = _generations(
                self._upgrade, self._upgrade.refit, self._gallery, self._rows, self._recorded
            )
        backfilled = int(np.rint(coverage * len(self._rows)))
        present = self._upgrade
        for items, following in self._after:
            if items <= backfilled:
                present = following
        return present


def _generations(
    upgrade: Upgrade,
    refit: Refit,
    gallery: Pairs,
    rows: NDArray[np.intp],
    recorded: QueryLog | None,
) -> list[tuple[int, Upgrade]]:
    """Each later generation, with the number of backfilled items that it begins at."""
    found: list[tuple[int, Upgrade]] = []
    pairs, present, knows = refit.moments.n, upgrade, recorded is None
    for milestone in MILESTONES:
        items = math.ceil(milestone * len(rows) - _ROUNDING)
        extra = _fresh(upgrade, refit, gallery, rows[:items])
        following = None
        if extra is not None and refit.has_grown(pairs, extra.n):
            following = present.refitted(extra)
        if following is not None and extra is not None:
            pairs = refit.moments.n + extra.n
        offset = None if knows or recorded is None else taught_offset(upgrade, recorded, extra)
        if offset is not None:
            forward = (following or present).forward
            assert forward is not None
            following = present.with_offset(offset).with_map(forward, pairs)
            knows = True
        if following is not None:
            present = following
            found.append((items, present))
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
