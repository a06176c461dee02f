"""Query traffic: what is asked for most, by a log.

A line of the log is an id, or an id, a tab, and how often it was asked for. The counts are held
in memory.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping
from pathlib import Path

from crossfade.errors import InvalidInput
from crossfade.orders.base import Order, Scoring
from crossfade.stores import Id
from crossfade.upgrade import Upgrade

__all__ = ["logged_traffic", "read_traffic", "traffic_order"]


def traffic_order(counts: Mapping[Id, int]) -> Order:
    """An order by how often an item is asked for; to be registered under a name of your own.

    Args:
        counts: by id; items that are not in it come last.
    """

    def order(upgrade: Upgrade, seed: int, argument: str) -> Scoring:  # noqa: ARG001
        return Scoring(
            lambda items: [-float(counts.get(item.id, 0)) for item in items], payload=False
        )

    return order


def logged_traffic(upgrade: Upgrade, seed: int, argument: str) -> Scoring:  # noqa: ARG001
    """``traffic:FILE``: the most asked for first."""
    counts = read_traffic("traffic", argument)
    # A log is text: the integer 5 and the text "5" look alike in it.
    return Scoring(lambda items: [-float(counts[str(item.id)]) for item in items], payload=False)


def read_traffic(order: str, path: str) -> Counter[str]:
    """How often each id is asked for.

    Args:
        order: that reads it, for the message.

    Raises:
        InvalidInput: there is no log, or it is none.
    """
    if not path:
        raise InvalidInput(f"order {order!r} needs a log: {order}:FILE")
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
