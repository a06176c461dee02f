"""The fixed sample of items that puts two models' scores on one scale (two-encoder mode)."""

from __future__ import annotations

import numpy as np

from crossfade.embeddings import Pairs
from crossfade.fit.settings import FitSettings
from crossfade.upgrade import TwoEncoder

__all__ = ["two_encoder_reference"]

_SAMPLE_ROWS = 1_000


def two_encoder_reference(pairs: Pairs, settings: FitSettings) -> TwoEncoder | None:
    """A seeded sample of the pairs with the weights of the settings.

    Returns None for fewer than two pairs, which have no scale.
    """
    if len(pairs) < 2:
        return None
    rows = np.random.default_rng(settings.seed).permutation(len(pairs))[:_SAMPLE_ROWS]
    rows = np.sort(rows)
    return TwoEncoder(
        settings.two_encoder_weight,
        settings.two_encoder_new_weight,
        pairs.old_rows(rows),
        pairs.new_rows(rows),
    )
