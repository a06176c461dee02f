"""Orders that look at ids alone."""

from __future__ import annotations

from itertools import count as counter

from crossfade.orders.base import Scoring, refuse_argument
from crossfade.orders.random_keys import random_keys
from crossfade.upgrade import Upgrade

__all__ = ["gallery_order", "random_order"]


def random_order(upgrade: Upgrade, seed: int, argument: str) -> Scoring:  # noqa: ARG001
    """By a hash of seed and id alone: the same in every store, and in the simulation."""
    refuse_argument("random", argument)
    key = random_keys(seed)
    return Scoring(lambda items: [key(item.id) for item in items], payload=False, random_seed=seed)


def gallery_order(upgrade: Upgrade, seed: int, argument: str) -> Scoring:  # noqa: ARG001
    """As the gallery is scanned."""
    refuse_argument("gallery", argument)
    positions = counter()
    return Scoring(lambda items: [next(positions) for _ in items], payload=False)
