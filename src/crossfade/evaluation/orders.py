"""In which order a gallery is backfilled: a registry of named, seeded functions.

An order takes the gallery, the upgrade and a seed, and returns all rows of the gallery, the
one that is backfilled first in front. It belongs to the result: a curve without its order
and seed can't be repeated. Add an order by adding a function to :data:`ORDERS`.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping

import numpy as np
from numpy.typing import NDArray

from crossfade.embeddings import Pairs
from crossfade.errors import InvalidInput
from crossfade.upgrade import Upgrade

__all__ = ["ORDERS", "OrderFunction", "backfill_order"]

Rows = NDArray[np.intp]
_BLOCK_ROWS = 16_384
OrderFunction = Callable[[Pairs, Upgrade, int], Rows]


def backfill_order(name: str, gallery: Pairs, upgrade: Upgrade, *, seed: int) -> Rows:
    """Rows ``(n,)`` of the gallery in the order named.

    Raises:
        InvalidInput: there is no order of that name.
    """
    if name not in ORDERS:
        raise InvalidInput(f"unknown order {name!r}; choose one of {', '.join(ORDERS)}")
    return ORDERS[name](gallery, upgrade, seed)


def _random(gallery: Pairs, upgrade: Upgrade, seed: int) -> Rows:
    # Drawn over the sorted ids: the same items come first however the file is arranged.
    del upgrade
    by_id = np.argsort(gallery.ids, kind="stable")
    return by_id[np.random.default_rng(seed).permutation(len(gallery))]


def _as_given(gallery: Pairs, upgrade: Upgrade, seed: int) -> Rows:
    del upgrade, seed
    return np.arange(len(gallery))


def _by_uncertainty(gallery: Pairs, upgrade: Upgrade, seed: int) -> Rows:
    del seed
    if upgrade.uncertainty is None:
        raise InvalidInput(
            f"method {upgrade.method!r} predicts no uncertainty, so there is no such order; fit "
            "'fastfill', or take another order"
        )
    by_id = np.argsort(gallery.ids, kind="stable")
    doubt = np.concatenate(
        [
            upgrade.uncertainty.raw(gallery.old_rows(by_id[start : start + _BLOCK_ROWS]))[:, 0]
            for start in range(0, len(by_id), _BLOCK_ROWS)
        ]
    )
    return by_id[np.argsort(-doubt, kind="stable")]


ORDERS: Mapping[str, OrderFunction] = {
    "random": _random,
    "gallery": _as_given,
    "uncertainty": _by_uncertainty,
}
"""``random``: a seeded permutation. ``gallery``: the rows as they are given. ``uncertainty``:
FastFill's, the items that the forward map is least sure of first (ties by id)."""
