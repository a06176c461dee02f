"""What two-encoder mode needs of the pairs: a fixed sample, and how far to trust the map.

The more pairs a dimension a map was fitted on, the better it holds for items unlike them, and
the less the old model's own view is needed beside it: its share falls from 0.8 at two pairs for
three dimensions to 0.5 at thirty a dimension. Held-out pairs don't tell this, since they are
like the pairs fitted on (``docs/experiments.md``, "Two encoders").
"""

from __future__ import annotations

import math

import numpy as np

from crossfade.embeddings import Pairs
from crossfade.fit.settings import FitSettings
from crossfade.upgrade import TwoEncoder

__all__ = ["old_share", "two_encoder_reference"]

_SAMPLE_ROWS = 1_000
_SMALLEST_SHARE, _LARGEST_SHARE = 0.5, 0.8
_SHARE_AT_ONE, _FALL_PER_DECADE = 0.765, 0.187
_LESS_ON_NEW_SIDE = 0.3
"""The new model's own score needs less help than the map's."""


def two_encoder_reference(pairs: Pairs, settings: FitSettings) -> TwoEncoder | None:
    """A seeded sample of the pairs with the shares of the settings, or of their number.

    Returns None for fewer than two pairs, which have no scale.
    """
    if len(pairs) < 2:
        return None
    weight, new_weight = settings.two_encoder_weight, settings.two_encoder_new_weight
    if weight is None:
        weight = old_share(len(pairs) / max(pairs.source.dim, pairs.target.dim))
    if new_weight is None:
        new_weight = max(0.0, weight - _LESS_ON_NEW_SIDE)
    rows = np.random.default_rng(settings.seed).permutation(len(pairs))[:_SAMPLE_ROWS]
    rows = np.sort(rows)
    return TwoEncoder(weight, new_weight, pairs.old_rows(rows), pairs.new_rows(rows))


def old_share(pairs_per_dimension: float) -> float:
    """The old query's share of the score of an item that is not yet backfilled."""
    share = _SHARE_AT_ONE - _FALL_PER_DECADE * math.log10(pairs_per_dimension)
    return min(_LARGEST_SHARE, max(_SMALLEST_SHARE, share))
