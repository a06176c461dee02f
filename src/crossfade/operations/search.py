"""`search`: queries from a file against a live gallery."""

from __future__ import annotations

from collections import Counter
from pathlib import Path

import numpy as np

from crossfade.embeddings.queries import query_arrays
from crossfade.errors import DataFileError
from crossfade.gallery import Hit
from crossfade.operations.opening import open_upgraded
from crossfade.upgrade import Mode

__all__ = ["search"]


def search(
    uri: str,
    queries: Path,
    k: int = 10,
    *,
    mode: Mode | str = Mode.ONE_ENCODER,
    upgrade: Path | None = None,
) -> dict[str, list[Hit]]:
    """The k best items for each query.

    Args:
        queries: ``.npz`` with ``new (q, d_new)``, or ``old (q, d_old)``, or both, as the mode
            needs; and ``ids (q,)``, by default the rows' numbers.
        upgrade: its folder, if it is not where it was at the start.

    Returns:
        Hits by query id as text, in the file's order.

    Raises:
        DataFileError: the file can't be read. And as :meth:`Gallery.search` raises.
    """
    arrays = query_arrays(queries)
    new, old = arrays.get("new"), arrays.get("old")
    first = new if new is not None else old
    if first is None:
        raise DataFileError(f"{queries} holds {sorted(arrays)}, wanted new, old, or both")
    ids = arrays.get("ids", np.arange(len(first)))
    if len(ids) != len(first):
        raise DataFileError(f"{queries} holds {len(ids)} ids for {len(first)} queries")
    names = [str(id) for id in ids.tolist()]
    if len(set(names)) < len(names):
        twice = next(name for name, times in Counter(names).items() if times > 1)
        raise DataFileError(f"{queries}: query id {twice!r} comes twice; ids must be unique")
    with open_upgraded(uri, upgrade) as gallery:
        found = gallery.search(new, k, query_old=old, mode=mode)
    return dict(zip(names, found, strict=True))
