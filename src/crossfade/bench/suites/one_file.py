"""A user's own data in one ``.npz`` file, of which the seed draws what is fitted on.

Arrays ``gallery_ids``, ``gallery_old``, ``gallery_new``, row by row, and either

- ``labels`` of the gallery: half of the items of each class are fitted on, the others are
  gallery and queries, each leaving itself out; or
- ``query_old``, ``query_new`` and ``relevant``, ``(m, 2)`` rows of queries and of the gallery:
  half of the items, none of which answers a query, are fitted on, the others are the gallery.
  Where fewer than a quarter answer none, methods are fitted on the gallery's own items.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from crossfade.bench.cache import content_hash
from crossfade.bench.dataset import DataSet
from crossfade.bench.suite import BuildPlan
from crossfade.bench.suites.splits import split_rows
from crossfade.embeddings import Pairs, Qrels
from crossfade.embeddings.formats import read_npz
from crossfade.errors import DataFileError, InvalidInput

__all__ = ["ARRAYS", "FORM", "build", "check"]

FORM = (
    "gallery_ids, gallery_old, gallery_new, and labels, or query_old, query_new and relevant "
    "(rows of queries and of the gallery)"
)
ARRAYS: Mapping[str, str] = {
    "gallery_ids, gallery_old, gallery_new": "(n,), (n, d_old), (n, d_new), row by row; and either",
    "labels": "(n,) classes of the gallery, whose items then ask; or",
    "query_old, query_new, relevant": "(q, d_old), (q, d_new), (m, 2) rows of queries and gallery",
}
"""The same, for a page of help."""
_GALLERY = ("gallery_ids", "gallery_old", "gallery_new")
_QUERIES = ("query_old", "query_new", "relevant")
_FIT_SHARE, _FEWEST_UNASKED = 0.5, 0.25

Arrays = dict[str, NDArray[Any]]


def check(path: Path) -> bool:
    """Whether its queries are apart from the gallery.

    Raises:
        DataFileError: the file can't be read, or lacks arrays.
    """
    return _apart(_read(path), path)


def build(path: Path, plan: BuildPlan) -> DataSet:
    """Read it, and split it by the seed.

    Raises:
        DataFileError: as :func:`check`. InvalidInput: what it holds is not valid.
    """
    arrays = _read(path)
    ids, old, new = (arrays[name] for name in _GALLERY)
    every = Pairs.of(ids, old, new, arrays.get("labels"))
    if not _apart(arrays, path):
        assert every.labels is not None
        fit, gallery = split_rows(every.labels, _FIT_SHARE, plan.seed)
        return DataSet(fit=every.subset(fit), gallery=every.subset(gallery), source=_source(arrays))
    # Ids of their own: a query that has an item's id would leave that item out.
    names = [f"query {row}" for row in range(len(arrays["query_old"]))]
    queries = Pairs.of(names, arrays["query_old"], arrays["query_new"])
    relevant = _relevant(arrays["relevant"], len(queries), len(every))
    judged: dict[str, dict[str, int]] = defaultdict(dict)
    for query, item in relevant.tolist():
        judged[names[query]][str(every.ids[item])] = 1
    unasked = np.setdiff1d(np.arange(len(every)), relevant[:, 1])
    fit = gallery = np.arange(len(every))
    if len(unasked) >= _FEWEST_UNASKED * len(every):
        drawn = np.random.default_rng(plan.seed).permutation(unasked)
        fit = np.sort(drawn[: round(_FIT_SHARE * len(every))])
        gallery = np.setdiff1d(gallery, fit)
    return DataSet(
        every.subset(fit),
        every.subset(gallery),
        queries,
        Qrels(dict(judged)),
        source=_source(arrays),
    )


def _read(path: Path) -> Arrays:
    arrays = read_npz(path, (*_GALLERY, *_QUERIES, "labels"))
    if missing := [name for name in _GALLERY if name not in arrays]:
        raise DataFileError(f"{path} lacks {', '.join(missing)}; wanted {FORM}")
    return arrays


def _source(arrays: Arrays) -> str:
    return content_hash(
        part
        for name, array in sorted(arrays.items())
        for part in (f"{name} {array.dtype} {array.shape}".encode(), array.tobytes())
    )


def _apart(arrays: Arrays, path: Path) -> bool:
    if all(name in arrays for name in _QUERIES):
        return True
    if "labels" in arrays:
        return False
    missing = [name for name in _QUERIES if name not in arrays]
    raise DataFileError(f"{path} has no labels, and lacks {', '.join(missing)}; wanted {FORM}")


def _relevant(rows: NDArray[Any], queries: int, items: int) -> NDArray[np.intp]:
    if rows.ndim != 2 or rows.shape[1] != 2 or rows.dtype.kind not in "iu":
        raise InvalidInput(
            f"relevant has shape {rows.shape} of {rows.dtype}, wanted (m, 2) integers: rows of "
            "queries and of the gallery"
        )
    if len(rows) and (rows.min() < 0 or (rows.max(axis=0) >= (queries, items)).any()):
        raise InvalidInput(
            f"relevant names rows up to {rows.max(axis=0).tolist()} and from {rows.min()}, wanted "
            f"rows of {queries} queries and {items} items, from 0"
        )
    return rows.astype(np.intp)
