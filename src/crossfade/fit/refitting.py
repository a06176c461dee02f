"""What an artifact carries so that its map can be fitted again: :mod:`crossfade.upgrade.refit`."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import numpy as np

from crossfade.embeddings import Pairs
from crossfade.fit.moments import Moments, pair_moments
from crossfade.upgrade import Refit, Upgrade

__all__ = ["corrected_later", "refit_of"]

_ROWS = 8_192


def refit_of(pairs: Pairs, moments: Moments, **settings: Any) -> Refit:
    """Of a map that was fitted on these pairs, of these moments; settings as :class:`Refit` has."""
    # Products with new embeddings are the most: the artifact holds them in float32.
    kept = replace(moments, xy=moments.xy.astype(np.float32))
    again = Refit(kept, np.empty(0, dtype=np.uint64), **settings)
    marks = [
        again.marks_of(pairs.old_rows(slice(start, start + _ROWS)))
        for start in range(0, len(pairs), _ROWS)
    ]
    return replace(again, marks=np.unique(np.concatenate(marks)))


def corrected_later(upgrade: Upgrade, pairs: Pairs) -> Upgrade:
    """The upgrade, fitted on these pairs, with what it takes to correct its map."""
    kernel = None if upgrade.forward is None else upgrade.forward.kernel
    again = refit_of(
        pairs,
        pair_moments(pairs, forward=True),
        shares_follow=False,
        corrects=True,
        landmarks=0 if kernel is None else len(kernel.landmarks),
    )
    return replace(upgrade, refit=again)
