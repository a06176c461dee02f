"""What lowers backfilled items that are near to any query, computed once for each."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
from numpy.typing import NDArray

from crossfade.stores import Id, Item
from crossfade.upgrade import ItemOffset

__all__ = ["Hubs"]

_Key = tuple[str, Id, int]
"""Which offset, an item's id, and a hash of its new vector: a new start of an upgrade may bring
another one."""
_MOST_KEPT = 100_000
"""Numbers of items kept; of more, all are forgotten, which costs little."""


class Hubs:
    """:meth:`ItemOffset.of_new` of items. May be used by several threads.

    Args:
        stored: the space of their new vectors.
    """

    def __init__(self, stored: str) -> None:
        self._stored = stored
        self._kept: dict[_Key, float] = {}

    def of(self, items: Sequence[Item], offset: ItemOffset) -> NDArray[np.float64]:
        """``(n,)``, of items that hold a new vector."""
        keys = [self._key(item, offset) for item in items]
        # Another thread may forget what is kept at any moment, so it is looked up once.
        found = {key: self._kept.get(key) for key in keys}
        missing = {key: item for key, item in zip(keys, items, strict=True) if found[key] is None}
        if missing:
            rows = np.stack([item.vectors[self._stored] for item in missing.values()])
            new = dict(zip(missing, offset.of_new(rows).tolist(), strict=True))
            if len(self._kept) + len(new) > _MOST_KEPT:
                self._kept = {}
            self._kept.update(new)
            found.update(new)
        return np.array([found[key] for key in keys], dtype=np.float64)

    def _key(self, item: Item, offset: ItemOffset) -> _Key:
        return offset.fingerprint, item.id, hash(item.vectors[self._stored].tobytes())
