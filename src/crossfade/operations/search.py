"""`search`: queries from a file against a live gallery."""

from __future__ import annotations

from io import BytesIO
from pathlib import Path
from typing import Any

import numpy as np

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
    arrays = _arrays(queries)
    new, old = arrays.get("new"), arrays.get("old")
    first = new if new is not None else old
    if first is None:
        raise DataFileError(f"{queries} holds {sorted(arrays)}, wanted new, old, or both")
    ids = arrays.get("ids", np.arange(len(first)))
    if len(ids) != len(first):
        raise DataFileError(f"{queries} holds {len(ids)} ids for {len(first)} queries")
    with open_upgraded(uri, upgrade) as gallery:
        found = gallery.search(new, k, query_old=old, mode=mode)
    return {str(id): hits for id, hits in zip(ids.tolist(), found, strict=True)}


def _arrays(path: Path) -> dict[str, Any]:
    try:
        # From memory: a damaged file would be left open otherwise.
        with np.load(BytesIO(path.read_bytes()), allow_pickle=False) as file:
            return {name: file[name] for name in file.files}
    except Exception as error:
        raise DataFileError(
            f"{path} can't be read as .npz of arrays new, old, ids: {error}"
        ) from error
