"""Every order by name: one table, for the job, the simulation, and the docs."""

from __future__ import annotations

from crossfade.errors import InvalidInput
from crossfade.orders import by_old_vector, plain, traffic
from crossfade.orders.base import Order, Scoring, refuse_argument
from crossfade.upgrade import Upgrade

__all__ = [
    "EXPECTED_GAIN",
    "PREDICTED_RESIDUAL",
    "RANDOM",
    "TO_CHOOSE_FROM",
    "open_order",
    "order_names",
    "register_order",
]

RANDOM, EXPECTED_GAIN, PREDICTED_RESIDUAL = "random", "expected_gain", "predicted_residual"
TO_CHOOSE_FROM = (
    EXPECTED_GAIN,
    PREDICTED_RESIDUAL,
    "central_first",
    "short_mapped_first",
    "cluster_mean",
    "uncertainty",
)
"""Orders that need neither labels nor a log, so that evidence may choose one of them."""


def fitted_choice(upgrade: Upgrade, seed: int, argument: str) -> Scoring:
    """``auto``: what fitting recommends; random where it learned nothing of orders."""
    refuse_argument("auto", argument)
    chosen = RANDOM if upgrade.ordering is None else upgrade.ordering.chosen
    return open_order(chosen, upgrade, seed)


_ORDERS: dict[str, Order] = {
    RANDOM: plain.random_order,
    "gallery": plain.gallery_order,
    "short_mapped_first": by_old_vector.short_mapped_first,
    "uncertainty": by_old_vector.uncertainty,
    PREDICTED_RESIDUAL: by_old_vector.predicted_residual,
    EXPECTED_GAIN: by_old_vector.expected_gain,
    "central_first": by_old_vector.central_first,
    "cluster_mean": by_old_vector.cluster_mean,
    "class_mean": by_old_vector.class_mean,
    "traffic": traffic.logged_traffic,
    "auto": fitted_choice,
}


def register_order(name: str, order: Order) -> None:
    """Make an order known by name, e.g. to ``Backfill(order=name)`` and ``evaluate(order=name)``.

    Raises:
        InvalidInput: the name is taken by another function, empty, or holds a colon.
    """
    if not name or ":" in name:
        raise InvalidInput(f"{name!r} is no name for an order; wanted text without a colon")
    if _ORDERS.setdefault(name, order) is not order:
        raise InvalidInput(f"an order {name!r} is registered already; choose another name")


def order_names() -> list[str]:
    """The names of all orders."""
    return sorted(_ORDERS)


def open_order(order: str, upgrade: Upgrade, seed: int) -> Scoring:
    """Make an order ready to score the items of a gallery with that upgrade.

    Args:
        order: ``NAME`` or ``NAME:ARGUMENT``.

    Raises:
        InvalidInput: no such order, or it can't be used so.
    """
    name, _, argument = order.partition(":")
    if name not in _ORDERS:
        raise InvalidInput(f"no order {name!r}; known orders: {', '.join(order_names())}")
    return _ORDERS[name](upgrade, seed, argument)
