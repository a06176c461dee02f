"""Offsets of items for the maps that have them: see :mod:`crossfade.upgrade.item_offset`."""

from __future__ import annotations

import numpy as np

from crossfade.embeddings import Pairs
from crossfade.upgrade import ItemOffset, Upgrade, doubt_of

__all__ = ["with_item_offset"]

_MOST_ITEMS = 1_000


def with_item_offset(judged: Upgrade, final: Upgrade, held_out: Pairs) -> tuple[Upgrade, Upgrade]:
    """Both upgrades with an offset if theirs is a kernel map, or will be; else as they are.

    What a map shrinks is not seen on the pairs it was fitted on: a kernel repeats those.

    Args:
        judged: fitted without ``held_out``. final: the one that is handed on.
    """
    refit = final.refit
    if refit is None or refit.sample is None or judged.forward is None:
        return judged, final
    mean = refit.moments.mean_y.astype(np.float32)
    count = min(_MOST_ITEMS, len(held_out))
    rows = np.linspace(0, len(held_out) - 1, count).round().astype(np.intp)
    images = judged.forward.raw(held_out.old_rows(rows)) - mean
    offset = ItemOffset(
        mean,
        doubt=doubt_of(refit.moments.n / max(final.source.dim, final.target.dim)),
        typical=float((images.astype(np.float64) ** 2).sum(axis=1).mean()),
    )
    return judged.with_offset(offset), final.with_offset(offset)
