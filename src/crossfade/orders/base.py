"""What an order is: a sort key for each item, computed while the gallery is scanned.

An order sees the upgrade and one batch of items at a time, never the gallery whole: its size
does not matter, and the job and the simulation of it (:mod:`crossfade.evaluation.orders`) use
the same function.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any, TypeAlias

import numpy as np

from crossfade.errors import InvalidInput
from crossfade.stores import Item
from crossfade.upgrade import Upgrade

__all__ = ["Order", "Scoring", "refuse_argument"]


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


Order: TypeAlias = Callable[[Upgrade, int, str], Scoring]
"""(upgrade, seed, argument) -> how items are scored. The argument is what follows the name
and a colon where the order is chosen, ``""`` if nothing does."""


def refuse_argument(name: str, argument: str) -> None:
    """For orders that know none.

    Raises:
        InvalidInput: there is one.
    """
    if argument:
        raise InvalidInput(f"order {name!r} takes nothing after a colon, got {argument!r}")
