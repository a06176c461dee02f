"""An index of FAISS over the vectors of one space, with items that come, change and go.

FAISS only appends. A vector that is replaced or deleted stays where it is, marked as dead, and
every search leaves the dead out by a selector; when more are dead than alive the index is built
again. HNSW and IVF hold the plain vectors too, so each also searches exactly.

Nothing here is safe between threads: FAISS may crash when it is searched during a write.
"""

from __future__ import annotations

from typing import Any, TypeAlias

import faiss
import numpy as np
import numpy.typing as npt

from crossfade.embeddings import FloatArray
from crossfade.errors import InvalidInput
from crossfade.stores.faiss.vectors import Numbers, VectorRows

__all__ = ["Mask", "VectorIndex"]

Mask: TypeAlias = npt.NDArray[np.bool_]

_MOST_DEAD = 1_000
"""So many may be dead in an index, however few are alive."""
_HNSW = {"m": 32, "ef_construction": 120, "ef_search": 96}
_TRAINING_ROWS = 39
"""Vectors that FAISS wants for each list of an IVF index."""
_SCANNED_LISTS = 8
"""One list in so many is searched, and at least so many lists."""
_RARE = 0.1
"""If a smaller share of the vectors qualifies, looking at all of these is faster and surer."""


class VectorIndex:
    """The vectors of a space by the numbers of their items.

    Args:
        kind: ``hnsw`` or ``ivf`` for an approximate index beside the exact one, or None.
        rows: what it holds at first; IVF learns its lists from them.
    """

    _items: Numbers
    _changes: Numbers
    _alive: Mask
    _positions: Numbers

    def __init__(self, kind: str | None, dim: int, rows: VectorRows) -> None:
        self.kind = kind
        self._dim = dim
        self._index = _new_index(kind, dim, rows.rows)
        self._begin(rows)

    @classmethod
    def restored(cls, kind: str, raw: Any, items: Numbers, changes: Numbers) -> VectorIndex:
        """An index that was read from a file; :meth:`keep_current` must follow."""
        none = VectorRows(items[:0], changes[:0], np.empty((0, raw.d), dtype=np.float32))
        made = cls(None, raw.d, none)
        made.kind, made._index = kind, raw
        made._items, made._changes = items, changes
        return made

    def __len__(self) -> int:
        return len(self._items) - self._dead

    @property
    def raw(self) -> Any:
        """FAISS's own index, for writing it to a file."""
        return self._index

    @property
    def positions(self) -> tuple[Numbers, Numbers]:
        """The item and change at each of its positions, the dead included."""
        return self._items, self._changes

    def settings(self) -> dict[str, object]:
        """Kind and settings of the approximate index, ``{}`` without one."""
        if self.kind == "hnsw":
            return {"kind": "hnsw", **_HNSW}
        if self.kind == "ivf":
            lists = int(self._index.nlist)
            return {"kind": "ivf", "lists": lists, "probes": _probes(lists)}
        return {}

    def keep_current(self, changes: Numbers) -> Numbers:
        """Mark as dead whatever is not of these changes, by item; returns the items it lacks."""
        self._alive = self._changes == _at(changes, self._items)
        self._dead = len(self._items) - int(np.count_nonzero(self._alive))
        self._positions = np.full(len(changes), -1, dtype=np.int64)
        self._positions[self._items[self._alive]] = np.flatnonzero(self._alive)
        return np.flatnonzero((changes >= 0) & (self._positions < 0))

    def mask(self, size: int) -> Mask:
        """By number, up to ``size``: which items hold a vector."""
        found = np.zeros(size, dtype=bool)
        found[self._items[self._alive]] = True
        return found

    def remove(self, items: Numbers) -> None:
        """Forget vectors of items; those without one are ignored."""
        known = items[items < len(self._positions)]
        positions = self._positions[known]
        positions = positions[positions >= 0]
        self._alive[positions] = False
        self._positions[known] = -1
        self._dead += len(positions)
        if self._dead > max(_MOST_DEAD, len(self)):
            self.compact()

    def add(self, rows: VectorRows) -> None:
        """Add vectors, or replace them."""
        self.remove(rows.items)
        self._index.add(rows.rows)
        start = len(self._items)
        self._items = np.concatenate([self._items, rows.items])
        self._changes = np.concatenate([self._changes, rows.changes])
        self._alive = np.concatenate([self._alive, np.ones(len(rows.items), dtype=bool)])
        if (largest := int(rows.items.max(initial=-1))) >= len(self._positions):
            more = np.full(largest + 1 + largest // 4 - len(self._positions), -1, dtype=np.int64)
            self._positions = np.concatenate([self._positions, more])
        self._positions[rows.items] = np.arange(start, len(self._items))

    def compact(self) -> None:
        """Build the index again without the dead, if there are any."""
        if self._dead:
            rows = self.all_rows()
            kind = self.kind if len(rows.items) or self.kind != "ivf" else None
            self._index = _new_index(kind, self._dim, rows.rows)
            self.kind = kind
            self._begin(rows)

    def all_rows(self) -> VectorRows:
        """Every vector."""
        positions = np.flatnonzero(self._alive)
        return VectorRows(self._items[positions], self._changes[positions], self.rows_at(positions))

    def rows_at(self, positions: Numbers) -> FloatArray:
        """The vectors at positions in the index."""
        if not len(positions):
            return np.empty((0, self._dim), dtype=np.float32)
        return np.asarray(self._index.reconstruct_batch(positions), dtype=np.float32)

    def items_at(self, positions: Numbers) -> Numbers:
        """Whose they are."""
        return self._items[positions]

    def qualifying(self, allowed: Mask | None) -> Mask:
        """By position: which vectors are alive and of an item that is allowed."""
        if allowed is None:
            return self._alive
        padded = np.zeros(max(len(allowed), len(self._positions)), dtype=bool)
        padded[: len(allowed)] = allowed
        qualifying: Mask = self._alive & padded[self._items]
        return qualifying

    def search(
        self, queries: FloatArray, limit: int, mask: Mask, *, exact: bool
    ) -> tuple[FloatArray, Numbers]:
        """FAISS's scores and positions ``(q, limit)`` of the closest; -1 where none was found."""
        whole = mask.all()
        selector = None if whole else faiss.IDSelectorBitmap(np.packbits(mask, bitorder="little"))
        rare = np.count_nonzero(mask) < _RARE * len(mask)
        index, parameters = self._searcher(limit, selector, exact=exact or bool(rare))
        return index.search(queries, limit, params=parameters)  # type: ignore[no-any-return]

    def _searcher(self, limit: int, selector: Any, *, exact: bool) -> tuple[Any, Any]:
        if self.kind == "ivf":
            lists = int(self._index.nlist)
            probes = lists if exact else _probes(lists)
            return self._index, faiss.SearchParametersIVF(nprobe=probes, sel=selector)
        if self.kind == "hnsw" and not exact:
            breadth = max(_HNSW["ef_search"], 2 * limit)
            return self._index, faiss.SearchParametersHNSW(efSearch=breadth, sel=selector)
        plain = self._index if self.kind is None else faiss.downcast_index(self._index.storage)
        return plain, faiss.SearchParameters(sel=selector)

    def _begin(self, rows: VectorRows) -> None:
        self._items = np.empty(0, dtype=np.int64)
        self._changes = np.empty(0, dtype=np.int64)
        self._alive = np.empty(0, dtype=bool)
        self._positions = np.empty(0, dtype=np.int64)
        self._dead = 0
        self.add(rows)


def _new_index(kind: str | None, dim: int, rows: FloatArray) -> Any:
    if kind is None:
        return faiss.IndexFlatIP(dim)
    if kind == "hnsw":
        index = faiss.IndexHNSWFlat(dim, _HNSW["m"], faiss.METRIC_INNER_PRODUCT)
        index.hnsw.efConstruction = _HNSW["ef_construction"]
        return index
    if not len(rows):
        raise InvalidInput("an IVF index learns from vectors, and there are none yet; add some")
    lists = max(1, min(int(4 * len(rows) ** 0.5), len(rows) // _TRAINING_ROWS))
    index = faiss.IndexIVFFlat(faiss.IndexFlatIP(dim), dim, lists, faiss.METRIC_INNER_PRODUCT)
    # Positions in the order of adding, so that vectors can be read back.
    index.set_direct_map_type(faiss.DirectMap.Array)
    index.train(rows)
    return index


def _probes(lists: int) -> int:
    return min(lists, max(_SCANNED_LISTS, lists // _SCANNED_LISTS))


def _at(values: Numbers, items: Numbers) -> Numbers:
    """The values of items; -1 beyond the end."""
    return np.where(items < len(values), values.take(items, mode="clip"), -1)
