"""The oracle: a store in this process's memory. Complete, obvious, slow.

``memory://NAME`` is one collection for the whole process, found again when it is opened again;
``memory://`` is a new one each time.
"""

from __future__ import annotations

import threading
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from itertools import count as counter

import numpy as np

from crossfade.embeddings import FloatArray, Space
from crossfade.stores.base import (
    Capabilities,
    Draft,
    Id,
    Item,
    Match,
    Outcome,
    Store,
    VectorWrite,
    id_order,
)
from crossfade.stores.checks import (
    check_drafts,
    check_k,
    check_payload,
    check_queries,
    check_space,
    check_writes,
    plain_id,
    plain_ids,
)
from crossfade.stores.filters import Filter, check_filter, matches

__all__ = ["CAPABILITIES", "MemoryStore", "open_store"]

CAPABILITIES = Capabilities(
    scheme="memory",
    persistent=False,
    approximate=False,
    server=False,
    extra=None,
    uri="memory://NAME",
    atomic_batches=True,
    tested_against="itself: it is the oracle",
)

_NAMED: dict[str, MemoryStore] = {}
_NAMED_LOCK = threading.Lock()


def open_store(location: str) -> MemoryStore:
    """The collection of that name, or a new nameless one.

    Args:
        location: what follows ``memory://``.
    """
    if not location:
        return MemoryStore()
    with _NAMED_LOCK:
        return _NAMED.setdefault(location, MemoryStore())


@dataclass(eq=False)
class _Row:
    version: int
    payload: Mapping[str, object]
    vectors: dict[str, FloatArray] = field(default_factory=dict)


class MemoryStore(Store):
    """Items in a dictionary behind one lock."""

    capabilities = CAPABILITIES

    def __init__(self) -> None:
        self._lock = threading.RLock()
        self._spaces: dict[str, Space] = {}
        self._rows: dict[Id, _Row] = {}
        self._pointers: dict[str, str] = {}
        self._versions = counter(1)

    def spaces(self) -> Mapping[str, Space]:
        with self._lock:
            return dict(self._spaces)

    def ensure_space(self, space: Space) -> None:
        with self._lock:
            self._spaces.setdefault(space.name, space).require(space)

    def drop_space(self, name: str) -> None:
        with self._lock:
            self._spaces.pop(name, None)
            for row in self._rows.values():
                row.vectors.pop(name, None)

    def put(self, drafts: Sequence[Draft]) -> None:
        with self._lock:
            for draft in check_drafts(drafts, self._spaces):
                self._rows[draft.id] = _Row(
                    next(self._versions), draft.payload, dict(draft.vectors)
                )

    def set_vectors(self, space: str, writes: Sequence[VectorWrite]) -> list[Outcome]:
        with self._lock:
            checked = check_writes(writes, check_space(self._spaces, space))
            return [self._set_vector(space, write) for write in checked]

    def _set_vector(self, space: str, write: VectorWrite) -> Outcome:
        row = self._rows.get(write.id)
        if row is None:
            return Outcome.GONE
        if row.version != write.version:
            return Outcome.STALE
        row.vectors[space] = write.vector
        return Outcome.APPLIED

    def delete(self, ids: Iterable[Id]) -> int:
        with self._lock:
            return sum(self._rows.pop(id, None) is not None for id in plain_ids(ids))

    def get(self, ids: Sequence[Id], *, vectors: Sequence[str] = ()) -> list[Item | None]:
        with self._lock:
            return [self._item(id, vectors) if id in self._rows else None for id in plain_ids(ids)]

    def search(
        self,
        space: str,
        queries: FloatArray,
        k: int,
        *,
        lacks: str | None = None,
        filter: Filter | None = None,
        exact: bool = True,  # noqa: ARG002 - it is never anything else
    ) -> list[list[Match]]:
        check_filter(filter or {})
        with self._lock:
            rows = check_queries(queries, check_space(self._spaces, space))
            held = [
                (id, row)
                for id, row in self._having(space, lacks)
                if matches(filter or {}, row.payload)
            ]
            return [_closest(space, query, held, check_k(k)) for query in rows]

    def scan(
        self,
        *,
        after: Id | None = None,
        n: int,
        lacks: str | None = None,
        vectors: Sequence[str] = (),
        payload: bool = True,
    ) -> list[Item]:
        with self._lock:
            ids = [id for id, _ in self._having(None, lacks)]
            if after is not None:
                start = id_order(plain_id(after))
                ids = [id for id in ids if id_order(id) > start]
            return [self._item(id, vectors, payload) for id in sorted(ids, key=id_order)[:n]]

    def count(self, *, has: str | None = None, lacks: str | None = None) -> int:
        with self._lock:
            return sum(1 for _ in self._having(has, lacks))

    def read_pointer(self, name: str) -> str | None:
        with self._lock:
            return self._pointers.get(name)

    def swap_pointer(self, name: str, expect: str | None, value: str | None) -> bool:
        with self._lock:
            if self._pointers.get(name) != expect:
                return False
            if value is None:
                self._pointers.pop(name, None)
            else:
                self._pointers[name] = value
            return True

    def flush(self) -> None:
        """Nothing survives the process, so there is nothing to do."""

    def close(self) -> None:
        """A named collection stays for whoever opens it next."""

    def _having(self, has: str | None, lacks: str | None) -> Iterator[tuple[Id, _Row]]:
        for id, row in self._rows.items():
            if (has is None or has in row.vectors) and lacks not in row.vectors:
                yield id, row

    def _item(self, id: Id, vectors: Sequence[str], payload: bool = True) -> Item:
        row = self._rows[id]
        held = {name: row.vectors[name].copy() for name in vectors if name in row.vectors}
        return Item(id, row.version, held, check_payload(row.payload) if payload else {})


def _closest(space: str, query: FloatArray, held: Sequence[tuple[Id, _Row]], k: int) -> list[Match]:
    # In float64, so that equal vectors get equal scores wherever they stand in the matrix.
    matrix = np.array([row.vectors[space] for _, row in held], dtype=np.float64)
    scores = (matrix.reshape(len(held), len(query)) @ query.astype(np.float64)).astype(np.float32)
    found = [
        Match(id, row.version, float(score)) for (id, row), score in zip(held, scores, strict=True)
    ]
    return sorted(found, key=lambda match: (-match.score, id_order(match.id)))[:k]
