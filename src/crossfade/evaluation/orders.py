"""The order of backfilling in the simulation: the job's own (:mod:`crossfade.orders`), at once.

An order belongs to the result: a curve without its order and seed can't be repeated. One order
is of the simulation alone: ``oracle``, what the map misses by most in truth, which nobody knows
before the items are re-extracted. It is the bound of the orders that predict it.
"""

from __future__ import annotations

from collections.abc import Iterator

import numpy as np
from numpy.typing import NDArray

from crossfade.embeddings import FloatArray, Pairs
from crossfade.errors import InvalidInput
from crossfade.orders import Scoring, open_order, order_names
from crossfade.stores import Item
from crossfade.upgrade import Side, Upgrade

__all__ = [
    "ORACLE",
    "backfill_order",
    "check_order",
    "simulated_order_names",
    "true_residual",
]

ORACLE = "oracle"
Rows = NDArray[np.intp]
_BLOCK_ROWS = 16_384


def backfill_order(name: str, gallery: Pairs, upgrade: Upgrade, *, seed: int) -> Rows:
    """Rows ``(n,)`` of the gallery in the order named, ties by id.

    Raises:
        InvalidInput: there is no order of that name, or the upgrade can't give it.
    """
    check_order(name)
    if name == ORACLE:
        blocks = _rows(gallery)
        keys = [-true_residual(upgrade, old, new) for old, new in blocks]
    else:
        scoring = open_order(name, upgrade, seed)
        keys = [np.array(scoring.score(items, name)) for items in _items(gallery, upgrade, scoring)]
    by_id = np.argsort(gallery.ids, kind="stable")
    return by_id[np.argsort(np.concatenate(keys)[by_id], kind="stable")]


def true_residual(upgrade: Upgrade, old: FloatArray, new: FloatArray) -> FloatArray:
    """How much lower items ``(n,)`` score for themselves before they are backfilled than after.

    With a forward map f it is ``1 - <f(o), n>``, with a psi ``1 - <psi(n), o>``.

    Raises:
        InvalidInput: the upgrade has no map.
    """
    if upgrade.side is Side.NONE:
        raise InvalidInput(
            f"method {upgrade.method!r} has no map, so it misses nothing; order 'oracle' needs "
            "an upgrade with psi or a forward map"
        )
    if upgrade.forward is not None:
        query, item = upgrade.store_new(new), upgrade.forward(old)
    else:
        query, item = upgrade.old_side(new, old).search_query, old
    return np.asarray(1.0 - np.einsum("ij,ij->i", query, item))


def simulated_order_names() -> list[str]:
    """The names of all orders that a simulation knows."""
    return sorted([*order_names(), ORACLE])


def check_order(order: str) -> str:
    """The order, if there is one of its name.

    Args:
        order: ``NAME`` or ``NAME:ARGUMENT``.

    Raises:
        InvalidInput: there is none.
    """
    if order != ORACLE and order.partition(":")[0] not in order_names():
        raise InvalidInput(
            f"unknown order {order!r}; choose one of {', '.join(simulated_order_names())}"
        )
    return order


def _rows(gallery: Pairs) -> Iterator[tuple[FloatArray, FloatArray]]:
    for start in range(0, len(gallery), _BLOCK_ROWS):
        rows = slice(start, start + _BLOCK_ROWS)
        yield gallery.old_rows(rows), gallery.new_rows(rows)


def _items(gallery: Pairs, upgrade: Upgrade, scoring: Scoring) -> Iterator[list[Item]]:
    """The gallery's items as a store scans them, with no more than the order asks for."""
    source = upgrade.source.name
    for start in range(0, len(gallery), _BLOCK_ROWS):
        rows = slice(start, start + _BLOCK_ROWS)
        ids = gallery.ids[rows].tolist()
        if source in scoring.vectors:
            old = gallery.old_rows(rows)
            yield [Item(id, 1, {source: own}, {}) for id, own in zip(ids, old, strict=True)]
        else:
            yield [Item(id, 1, {}, {}) for id in ids]
