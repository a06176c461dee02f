"""Item sources: where the content of stored items is, for a new model to read.

A source is called with the ids and payloads of a batch and gives a content for each: text,
the bytes or the path of a file, or an id. What an item lacks is said in its place by
:class:`Missing`, so that one item is parked and not its batch.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Protocol

__all__ = ["Missing", "Source"]


@dataclass(frozen=True)
class Missing:
    """Stands where an item has no usable content; says why."""

    reason: str


class Source(Protocol):
    """Gives the content of items."""

    def __call__(
        self, ids: Sequence[int | str], payloads: Sequence[Mapping[str, Any]], /
    ) -> Sequence[Any]:
        """A content, or :class:`Missing`, for each of ``n`` items, in their order.

        Raises:
            EncoderUnavailable: the source can't be reached for now.
            EncoderMisconfigured: it can't work as it is set up.
        """
        ...
