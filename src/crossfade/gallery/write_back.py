"""Attaching new embeddings to the items that they were computed from."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

from crossfade.gallery.encoding import Encoded
from crossfade.stores import Id, Item, Outcome, Store, VectorWrite
from crossfade.upgrade import Upgrade

__all__ = ["write_back"]


def write_back(
    store: Store, upgrade: Upgrade, items: Sequence[Item], encoded: Encoded
) -> dict[Id, Outcome]:
    """Move items to the new side, each only if it still has the version that was read.

    A user's write or delete that came after the read beats the vector computed from what was
    read.

    Args:
        items: as they were read before they were encoded.
        encoded: what the encoder made of them; items without an embedding are left out.

    Returns:
        The outcome of each write.
    """
    ready = [item for item in items if item.id in encoded.vectors]
    if not ready:
        return {}
    new = np.stack([encoded.vectors[item.id] for item in ready])
    writes = [
        VectorWrite(item.id, item.version, row)
        for item, row in zip(ready, upgrade.store_new(new), strict=True)
    ]
    outcomes = store.set_vectors(upgrade.stored.name, writes)
    return {item.id: outcome for item, outcome in zip(ready, outcomes, strict=True)}
