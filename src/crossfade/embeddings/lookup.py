"""Which row of a file an id has."""

from __future__ import annotations

from bisect import bisect_left

import numpy as np

from crossfade.embeddings.vectors import Ids

__all__ = ["RowsById"]


class RowsById:
    """Rows by id, in two arrays instead of a dictionary: 16 bytes an integer id.

    Args:
        ids: ``(n,)`` unique, as from :func:`as_ids`; row i has the id i.
        where: the file, for messages.
    """

    def __init__(self, ids: Ids, where: str) -> None:
        self._order = np.argsort(ids, kind="stable")
        self._sorted = ids[self._order]
        self._text = ids.dtype.kind == "U"
        self._where = where

    def find(self, id: int | str) -> int | None:
        """The row of an id, or None. The number 1 and the text "1" are two ids."""
        if isinstance(id, str) is not self._text:
            return None
        place = bisect_left(self._sorted, id)
        if place == len(self._sorted) or self._sorted[place] != id:
            return None
        return int(self._order[place])

    def why_missing(self, id: int | str) -> str:
        """The reason to park an item whose id is not there."""
        reason = f"id {id!r} is not in {self._where}"
        if isinstance(id, str) is not self._text and len(self._sorted):
            kinds = ("numbers", "text")
            reason += f", whose ids are {kinds[self._text]}, not {kinds[not self._text]}"
        return reason
