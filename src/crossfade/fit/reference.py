"""What two-encoder mode needs of the pairs: a fixed sample, and how far to trust the map."""

from __future__ import annotations

import numpy as np

from crossfade.embeddings import Pairs
from crossfade.fit.settings import FitSettings
from crossfade.upgrade import TwoEncoder, new_side_share, old_share

__all__ = ["two_encoder_reference"]

_SAMPLE_ROWS = 1_000


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
        new_weight = new_side_share(weight)
    rows = np.random.default_rng(settings.seed).permutation(len(pairs))[:_SAMPLE_ROWS]
    rows = np.sort(rows)
    return TwoEncoder(weight, new_weight, pairs.old_rows(rows), pairs.new_rows(rows))
