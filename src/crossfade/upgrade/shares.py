"""How far to trust the old model beside a map, by the number of pairs it was fitted on.

The more pairs a dimension a map was fitted on, the better it holds for items unlike them, and
the less the old model's own view is needed beside it: its share falls from 0.8 at two pairs for
three dimensions to 0.5 at thirty a dimension, and is never above 0.65 where scores have offsets
of items (:mod:`.item_offset`), which do a part of what it is for. Held-out pairs don't tell this,
since they are like the pairs fitted on (``docs/experiments.md``, "Two encoders").
"""

from __future__ import annotations

import math

__all__ = ["new_side_share", "old_share"]

_SMALLEST_SHARE, _LARGEST_SHARE = 0.5, 0.8
_LARGEST_BESIDE_OFFSETS = 0.65
_SHARE_AT_ONE, _FALL_PER_DECADE = 0.765, 0.187
_LESS_ON_NEW_SIDE = 0.3
"""The new model's own score needs less help than the map's."""


def old_share(pairs_per_dimension: float, *, offsets: bool = False) -> float:
    """The old query's share of the score of an item that is not yet backfilled."""
    share = _SHARE_AT_ONE - _FALL_PER_DECADE * math.log10(pairs_per_dimension)
    largest = _LARGEST_BESIDE_OFFSETS if offsets else _LARGEST_SHARE
    return min(largest, max(_SMALLEST_SHARE, share))


def new_side_share(old_side_share: float) -> float:
    """Its share at coverage 0 for an item that is."""
    return max(0.0, old_side_share - _LESS_ON_NEW_SIDE)
