"""`search`: queries from a file against a live gallery."""

from __future__ import annotations

from collections import Counter
from pathlib import Path

import numpy as np

from crossfade.embeddings import FloatArray, as_ids, unit_rows
from crossfade.embeddings.formats import read_npz
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
        DataFileError: the file can't be read, or its arrays are not of the same queries.
        InvalidInput, SpaceMismatch: an array that is given is not valid, whether the mode needs it
            or not. And as :meth:`Gallery.search` raises.
    """
    names, rows = _read(queries)
    with open_upgraded(uri, upgrade) as gallery:
        for side, space in (("new", gallery.upgrade.target), ("old", gallery.upgrade.source)):
            if side in rows:
                unit_rows(rows[side], dim=space.dim, name=f"{queries}: {side}")
        found = gallery.search(rows.get("new"), k, query_old=rows.get("old"), mode=mode)
    return dict(zip(names, found, strict=True))


def _read(path: Path) -> tuple[list[str], dict[str, FloatArray]]:
    """Names and embeddings by side. Those that the mode has no use for are checked as well: a file
    that is wrong in one of two arrays is hardly the file that was meant."""
    arrays = read_npz(path)
    rows: dict[str, FloatArray] = {
        side: unit_rows(arrays[side], name=f"{path}: {side}")
        for side in ("new", "old")
        if side in arrays
    }
    if not rows:
        raise DataFileError(f"{path} holds {sorted(arrays)}, wanted new, old, or both")
    counts = {side: len(own) for side, own in rows.items()}
    if len({*counts.values()}) > 1:
        raise DataFileError(
            f"{path} holds {counts['new']} new and {counts['old']} old embeddings, wanted both of "
            "the same queries, row by row"
        )
    (count,) = {*counts.values()}
    ids = as_ids(arrays.get("ids", np.arange(count)), name=f"{path}: ids", unique=False)
    if len(ids) != count:
        raise DataFileError(f"{path} holds {len(ids)} ids for {count} queries")
    names = [str(id) for id in ids.tolist()]
    if len(set(names)) < len(names):
        twice = next(name for name, times in Counter(names).items() if times > 1)
        raise DataFileError(f"{path}: query id {twice!r} comes twice; ids must be unique")
    return names, rows
