"""In which order items are moved: a sort key for each, computed while the gallery is scanned.

An order never sees the gallery whole, so its size does not matter. Built in:

    random               seeded; the same ids and seed give the same order in every store
    gallery              the store's own order, in which it is read fastest
    short_mapped_first   what the forward map is least sure of, judged by the length of its
                         output before scaling; searches gain most from these
    traffic:FILE         what is asked for most, by a log: an id a line, or an id, a tab, and
                         how often
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from itertools import count as counter
from pathlib import Path
from typing import Any, TypeAlias

import numpy as np
from numpy.typing import NDArray

from crossfade.backfill.journal import random_keys
from crossfade.embeddings import unit_rows
from crossfade.errors import InvalidInput
from crossfade.gallery import Gallery
from crossfade.stores import Id, Item

__all__ = ["Order", "Scoring", "open_order", "order_names", "register_order", "traffic_order"]


@dataclass(frozen=True, eq=False)
class Scoring:
    """An order at work on one gallery.

    Attributes:
        keys: from a batch of n items to n finite numbers; the lowest is moved first, ties in
            an order that the journal chooses. Called batch by batch, in the store's order.
        vectors: names of the spaces whose vectors the items must come with, where they hold
            one; reading them costs time.
        payload: whether they must come with their payload; so does reading that.
        random_seed: given if the keys are those of :func:`random_keys`, which a journal that
            lives with the items may compute itself.
    """

    keys: Callable[[Sequence[Item]], Any]
    vectors: Sequence[str] = ()
    payload: bool = True
    random_seed: int | None = None

    def score(self, items: Sequence[Item], name: str) -> list[float]:
        """The keys, checked.

        Raises:
            InvalidInput: not one finite number an item. name: of the order, for the message.
        """
        try:
            keys = np.asarray(self.keys(items), dtype=np.float64)
        except (TypeError, ValueError) as error:
            raise InvalidInput(f"order {name!r} returned no numbers: {error}") from error
        if keys.shape != (len(items),) or not np.isfinite(keys).all():
            raise InvalidInput(
                f"order {name!r} returned keys of shape {keys.shape} for {len(items)} items, or "
                "NaN or infinite ones; wanted one finite number an item"
            )
        return [float(key) for key in keys]


Order: TypeAlias = Callable[[Gallery, int, str], Scoring]
"""(gallery, seed, argument) -> how its items are scored. The argument is what follows the name
and a colon where the order is chosen, ``""`` if nothing does."""


def random_order(gallery: Gallery, seed: int, argument: str) -> Scoring:  # noqa: ARG001
    """By a hash of seed and id alone."""
    _refuse_argument("random", argument)
    key = random_keys(seed)
    return Scoring(lambda items: [key(item.id) for item in items], payload=False, random_seed=seed)


def gallery_order(gallery: Gallery, seed: int, argument: str) -> Scoring:  # noqa: ARG001
    """As it is scanned."""
    _refuse_argument("gallery", argument)
    positions = counter()
    return Scoring(lambda items: [next(positions) for _ in items], payload=False)


def short_mapped_first(gallery: Gallery, seed: int, argument: str) -> Scoring:  # noqa: ARG001
    """By the length of the forward map's output before scaling; items without old vector first."""
    _refuse_argument("short_mapped_first", argument)
    source, forward = gallery.upgrade.source, gallery.upgrade.forward
    if forward is None:
        raise InvalidInput(
            "order 'short_mapped_first' needs an upgrade on the items' side, such as one of "
            f"method forward_ridge; this one is on the {gallery.upgrade.side.value} side"
        )

    def keys(items: Sequence[Item]) -> NDArray[np.float64]:
        lengths = np.zeros(len(items))
        held = [row for row, item in enumerate(items) if source.name in item.vectors]
        if held:
            old = np.stack([items[row].vectors[source.name] for row in held])
            raw = forward.raw(unit_rows(old, dim=source.dim, name="old embeddings"))
            lengths[held] = np.linalg.norm(raw, axis=1)
        return lengths

    return Scoring(keys, vectors=[source.name], payload=False)


def traffic_order(counts: Mapping[Id, int]) -> Order:
    """An order by how often an item is asked for; to be registered under a name of your own.

    Args:
        counts: by id; items that are not in it come last.
    """

    def order(gallery: Gallery, seed: int, argument: str) -> Scoring:  # noqa: ARG001
        return Scoring(
            lambda items: [-float(counts.get(item.id, 0)) for item in items], payload=False
        )

    return order


def _logged_traffic(gallery: Gallery, seed: int, argument: str) -> Scoring:  # noqa: ARG001
    counts = _read_traffic(argument)
    # A log is text: the integer 5 and the text "5" look alike in it.
    return Scoring(lambda items: [-float(counts[str(item.id)]) for item in items], payload=False)


def _read_traffic(path: str) -> Counter[str]:
    if not path:
        raise InvalidInput("order 'traffic' needs a log: traffic:FILE")
    counts: Counter[str] = Counter()
    try:
        with Path(path).open(encoding="utf-8") as lines:
            for number, line in enumerate(lines, 1):
                if text := line.rstrip("\n"):
                    id, _, times = text.partition("\t")
                    counts[id] += _times(times, path, number)
    except (OSError, UnicodeDecodeError) as error:
        raise InvalidInput(f"the traffic log {path!r} can't be read: {error}") from error
    return counts


def _times(text: str, path: str, number: int) -> int:
    try:
        return int(text) if text else 1
    except ValueError as error:
        raise InvalidInput(
            f"line {number} of the traffic log {path!r} ends in {text!r}; wanted an id, or an "
            "id, a tab, and how often it was asked for"
        ) from error


def _refuse_argument(name: str, argument: str) -> None:
    if argument:
        raise InvalidInput(f"order {name!r} takes nothing after a colon, got {argument!r}")


_ORDERS: dict[str, Order] = {
    "random": random_order,
    "gallery": gallery_order,
    "short_mapped_first": short_mapped_first,
    "traffic": _logged_traffic,
}


def register_order(name: str, order: Order) -> None:
    """Make an order known by name, e.g. to ``Backfill(order=name)``.

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


def open_order(order: str, gallery: Gallery, seed: int) -> Scoring:
    """Make an order ready to score a gallery's items.

    Args:
        order: ``NAME`` or ``NAME:ARGUMENT``.

    Raises:
        InvalidInput: no such order, or it can't be used so.
    """
    name, _, argument = order.partition(":")
    if name not in _ORDERS:
        raise InvalidInput(f"no order {name!r}; known orders: {', '.join(order_names())}")
    return _ORDERS[name](gallery, seed, argument)
