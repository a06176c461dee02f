"""How far to trust the old model beside a map, by the number of pairs it was fitted on.

The more pairs a dimension a map was fitted on, the better it holds for items unlike them, and
the less the old model's own view is needed beside it: its share falls from 0.8 at two pairs for
three dimensions to 0.5 at thirty a dimension, and is never above 0.65 where scores have offsets
of items (:mod:`.item_offset`), which do a part of what it is for. Held-out pairs don't tell this,
since they are like the pairs fitted on (``docs/experiments.md``, "Two encoders").
"""

from __future__ import annotations

import math

__all__ = ["new_side_share", "old_share", "share_to_make_up"]

_SMALLEST_SHARE, _LARGEST_SHARE = 0.5, 0.8
_LARGEST_BESIDE_OFFSETS = 0.65
_SHARE_AT_ONE, _FALL_PER_DECADE = 0.765, 0.187
_LESS_ON_NEW_SIDE = 0.3
"""The new model's own score needs less help than the map's."""
_KNOWN_POWER = 1.5


def old_share(pairs_per_dimension: float, *, offsets: bool = False) -> float:
    """The old query's share of the score of an item that is not yet backfilled."""
    share = _SHARE_AT_ONE - _FALL_PER_DECADE * math.log10(pairs_per_dimension)
    largest = _LARGEST_BESIDE_OFFSETS if offsets else _LARGEST_SHARE
    return min(largest, max(_SMALLEST_SHARE, share))


def new_side_share(old_side_share: float) -> float:
    """Its share at coverage 0 for an item that is."""
    return max(0.0, old_side_share - _LESS_ON_NEW_SIDE)


def share_to_make_up(known: float) -> float:
    """How much of what makes up for a map's errors is left where it repeats a share of the items.

    Nothing where it repeats all. Otherwise more than the share of the other items, which need all
    of it: with a fifth known, a fifth less of the old model's view left the start below the old
    system (``docs/experiments.md``, "Offsets of items").
    """
    return 1.0 - float(known**_KNOWN_POWER)
