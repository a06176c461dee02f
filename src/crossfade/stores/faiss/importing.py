"""Vectors out of an index file that FAISS wrote, with a list of ids, into a store."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import Any

import faiss
import numpy as np

from crossfade.embeddings import FloatArray, Space
from crossfade.errors import DataFileError, InvalidInput
from crossfade.stores.base import Draft, Id, Store

__all__ = ["import_index"]

_AT_ONCE = 5_000
_UNIT_TOLERANCE = 1e-3


def import_index(
    store: Store,
    space_name: str,
    file: Path,
    ids: Sequence[Id] | None = None,
    *,
    payload: Callable[[Id], Mapping[str, Any]] = lambda _: {},
) -> int:
    """Put every vector of an index file into a store; returns how many there were.

    The file may hold any index that gives its vectors back: flat, HNSW, IVF, and those with a
    map of ids. A quantised index gives back what it has kept, which is not what was added. Items
    of the same ids are replaced. A run that was cut off may be run again.

    Args:
        space_name: the space of the vectors; it is created if it is not there.
        ids: the id of each vector in the order of adding; None takes FAISS's own.
        payload: the payload of an item.

    Raises:
        DataFileError: the file can't be read, or does not give vectors back.
        InvalidInput: not as many ids as vectors, or vectors that are not of unit length.
        SpaceMismatch: the space has another dimension.
    """
    index = _read(file)
    own, rows = _contents(index, file)
    listed = own if ids is None else list(ids)
    if len(listed) != len(rows):
        raise InvalidInput(f"{file} holds {len(rows)} vectors, but {len(listed)} ids were given")
    lengths = np.linalg.norm(rows, axis=1)
    if len(rows) and (np.abs(lengths - 1.0) > _UNIT_TOLERANCE).any():
        raise InvalidInput(
            f"{file} holds vectors of lengths {lengths.min():.4g} to {lengths.max():.4g}, wanted "
            "1; only for unit vectors are inner product and distance one order. Normalise them"
        )
    store.ensure_space(Space(space_name, rows.shape[1]))
    for start in range(0, len(rows), _AT_ONCE):
        some = slice(start, start + _AT_ONCE)
        store.put(
            [
                Draft(id, {space_name: row}, payload(id))
                for id, row in zip(listed[some], rows[some], strict=True)
            ]
        )
    store.flush()
    return len(rows)


def _read(file: Path) -> Any:
    try:
        return faiss.read_index(str(file))
    except RuntimeError as error:
        raise DataFileError(f"{file} is no index of FAISS that can be read: {error}") from error


def _contents(index: Any, file: Path) -> tuple[list[Id], FloatArray]:
    """FAISS's own ids and the vectors, in the order of adding."""
    own: list[Id] = list(range(index.ntotal))
    if isinstance(index, (faiss.IndexIDMap, faiss.IndexIDMap2)):
        own = faiss.vector_to_array(index.id_map).tolist()
        index = faiss.downcast_index(index.index)
    if isinstance(index, faiss.IndexIVF):
        index.make_direct_map()
    try:
        rows = index.reconstruct_n(0, index.ntotal)
    except RuntimeError as error:
        raise DataFileError(f"{file} does not give its vectors back: {error}") from error
    return own, np.asarray(rows, dtype=np.float32).reshape(-1, index.d)
