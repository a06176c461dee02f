"""In which order items are moved. An order is a name and a function; plug in your own."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import TypeAlias

import numpy as np

from crossfade.errors import InvalidInput
from crossfade.gallery import Gallery
from crossfade.stores import Id, id_order

__all__ = ["Order", "gallery_order", "order_ids", "order_names", "random_order", "register_order"]

Order: TypeAlias = Callable[[Gallery, Sequence[Id], int], Sequence[Id]]
"""(gallery, ids, seed) -> the same ids, the first to be moved first."""


def random_order(gallery: Gallery, ids: Sequence[Id], seed: int) -> list[Id]:  # noqa: ARG001
    """A seeded permutation: the same ids and seed give the same order in every store."""
    listed = sorted(ids, key=id_order)
    return [listed[row] for row in np.random.default_rng(seed).permutation(len(listed))]


def gallery_order(gallery: Gallery, ids: Sequence[Id], seed: int) -> list[Id]:  # noqa: ARG001
    """The store's own order, in which it is read fastest."""
    return list(ids)


_ORDERS: dict[str, Order] = {"random": random_order, "gallery": gallery_order}


def register_order(name: str, order: Order) -> None:
    """Make an order known by name, e.g. to ``Backfill(order=name)``.

    Raises:
        InvalidInput: the name is taken by another function.
    """
    if _ORDERS.setdefault(name, order) is not order:
        raise InvalidInput(f"an order {name!r} is registered already; choose another name")


def order_names() -> list[str]:
    """The names of all orders."""
    return sorted(_ORDERS)


def order_ids(name: str, gallery: Gallery, ids: Sequence[Id], seed: int) -> list[Id]:
    """The ids in the order of that name.

    Raises:
        InvalidInput: no such order, or one that loses or invents ids.
    """
    if name not in _ORDERS:
        raise InvalidInput(f"no order {name!r}; known orders: {', '.join(order_names())}")
    ordered = list(_ORDERS[name](gallery, ids, seed))
    if len(ordered) != len(ids) or set(ordered) != set(ids):
        raise InvalidInput(f"order {name!r} did not return the {len(ids)} ids that it was given")
    return ordered
