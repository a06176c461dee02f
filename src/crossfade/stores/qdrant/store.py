"""The store on Qdrant's embedded engine."""

from __future__ import annotations

import secrets
import threading
from collections.abc import Iterable, Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np
import qdrant_edge as edge

from crossfade.embeddings import FloatArray, Space
from crossfade.stores.base import (
    Draft,
    Id,
    Item,
    Match,
    Outcome,
    Store,
    VectorWrite,
)
from crossfade.stores.checks import (
    check_drafts,
    check_k,
    check_queries,
    check_space,
    check_writes,
    plain_id,
    plain_ids,
)
from crossfade.stores.filters import Filter, check_filter
from crossfade.stores.qdrant import CAPABILITIES
from crossfade.stores.qdrant.conditions import condition
from crossfade.stores.qdrant.engine import Engine
from crossfade.stores.qdrant.folder import Folder, StoredSpace
from crossfade.stores.qdrant.nearest import match_of, nearest
from crossfade.stores.qdrant.points import (
    KEY_FIELDS,
    point_id,
    point_payload,
    record_key,
    refuse_collisions,
    user_payload,
)
from crossfade.stores.qdrant.words import EdgeWords

__all__ = ["QdrantStore"]

_ROOM_BYTES = 128 * 2**20
"""Free space without which nothing is written: where the disk is full the engine, which maps its
files, does not fail but dies."""
_PUT_BYTES = 8 * 2**20
"""Vectors in one operation of the engine; its log takes an operation as one record."""


class QdrantStore(Store):
    """A folder with the engine's shard and our catalog. Use :func:`open_store`.

    Reads run side by side; writes one after the other, so that a conditional write is one.
    What was written survives the death of the process at once, that of the machine after
    :meth:`flush`.
    """

    capabilities = CAPABILITIES

    def __init__(self, path: Path) -> None:
        self._write_lock = threading.RLock()
        self._folder = Folder(path)
        self._closed = False
        self._spaces: dict[str, StoredSpace] = {}
        try:
            self._engine = Engine(self._folder)
            self._remove_doomed()
            self._spaces = self._folder.spaces()
            self._check_seal()
        except BaseException:
            self._folder.close()
            raise

    @property
    def folder(self) -> Path:
        """The folder named in the URI."""
        return self._folder.path

    def spaces(self) -> Mapping[str, Space]:
        return {name: stored.space for name, stored in self._spaces.items()}

    def ensure_space(self, space: Space) -> None:
        with self._write_lock:
            if space.name in self._spaces:
                self._spaces[space.name].space.require(space)
                return
            self._folder.require_room(_ROOM_BYTES)
            self._begin_write()
            stored = self._folder.announce_space(space)
            self._engine.create_vector(stored)
            self._folder.make_ready(stored)
            self._spaces = {**self._spaces, space.name: stored}

    def drop_space(self, name: str) -> None:
        with self._write_lock:
            if name not in self._spaces:
                return
            self._begin_write()
            self._folder.doom_space(name)
            self._spaces = {key: value for key, value in self._spaces.items() if key != name}
            self._remove_doomed()

    def put(self, drafts: Sequence[Draft]) -> None:
        with self._write_lock:
            checked = check_drafts(drafts, self.spaces())
            hashed = [point_id(draft.id) for draft in checked if point_id(draft.id) != draft.id]
            present = self._engine.retrieve(hashed, KEY_FIELDS, False)
            refuse_collisions([draft.id for draft in checked], present)
            self._folder.require_room(_ROOM_BYTES)
            self._begin_write()
            width = sum(stored.space.dim for stored in self._spaces.values())
            rows = max(1, _PUT_BYTES // (4 * max(width, 1)))
            for start in range(0, len(checked), rows):
                self._engine.upsert([self._point(one) for one in checked[start : start + rows]])

    def set_vectors(self, space: str, writes: Sequence[VectorWrite]) -> list[Outcome]:
        with self._write_lock:
            checked = check_writes(writes, check_space(self.spaces(), space))
            versions = self._versions([write.id for write in checked])
            outcomes = [_outcome(write, versions) for write in checked]
            # The last of several writes to one item stands.
            applied = {
                point_id(write.id): write.vector
                for write, outcome in zip(checked, outcomes, strict=True)
                if outcome is Outcome.APPLIED
            }
            if applied:
                self._folder.require_room(_ROOM_BYTES)
                self._begin_write()
                self._engine.set_vectors(self._spaces[space].vector, applied.items())
            return outcomes

    def delete(self, ids: Iterable[Id]) -> int:
        with self._write_lock:
            there = self._versions(plain_ids(ids))
            if there:
                self._begin_write()
                self._engine.delete([point_id(id) for id in there])
            return len(there)

    def get(self, ids: Sequence[Id], *, vectors: Sequence[str] = ()) -> list[Item | None]:
        wanted, spaces = plain_ids(ids), self._spaces
        points = [point_id(id) for id in wanted]
        records = self._engine.retrieve(points, True, _vector_names(spaces, vectors))
        items = {item.id: item for item in (_item(record, spaces) for record in records)}
        return [items.get(id) for id in wanted]

    def search(
        self,
        space: str,
        queries: FloatArray,
        k: int,
        *,
        lacks: str | None = None,
        filter: Filter | None = None,
        exact: bool = True,
    ) -> list[list[Match]]:
        spaces = self._spaces
        rows = check_queries(queries, check_space(self.spaces(), space))
        check_filter(filter or {})
        where = _where(spaces, lacks=lacks, filter=filter)
        vector = spaces[space].vector

        def fetch(
            queries: Sequence[FloatArray] | FloatArray, limit: int, exact: bool
        ) -> list[list[Match]]:
            requests = [
                edge.QueryRequest(
                    limit=limit,
                    query=edge.Query.Nearest(query.tolist(), using=vector),
                    filter=where,
                    params=edge.SearchParams(exact=exact),
                    with_payload=KEY_FIELDS,
                )
                for query in queries
            ]
            return [[match_of(point) for point in found] for found in self._engine.query(requests)]

        return nearest(fetch, rows, check_k(k), self._engine.points(), exact=exact)

    def scan(
        self,
        *,
        after: Id | None = None,
        n: int,
        lacks: str | None = None,
        vectors: Sequence[str] = (),
        payload: bool = True,
    ) -> list[Item]:
        spaces = self._spaces
        start = None if after is None else point_id(plain_id(after))
        request = edge.ScrollRequest(
            offset=start,
            limit=n + 1,
            filter=_where(spaces, lacks=lacks),
            with_payload=payload or KEY_FIELDS,
            with_vector=_vector_names(spaces, vectors),
        )
        # The engine begins at the offset, we behind it.
        behind = [record for record in self._engine.scroll(request) if record.id != start]
        return [_item(record, spaces) for record in behind[:n]]

    def count(self, *, has: str | None = None, lacks: str | None = None) -> int:
        spaces = self._spaces
        if has is not None and has not in spaces:
            return 0
        return self._engine.count(_where(spaces, has=has, lacks=lacks))

    def read_pointer(self, name: str) -> str | None:
        self._engine.refuse_closed()
        return self._folder.read_pointer(name)

    def swap_pointer(self, name: str, expect: str | None, value: str | None) -> bool:
        self._engine.refuse_closed()
        return self._folder.swap_pointer(name, expect, value)

    def build_index(self, space: str, *, lacks: str | None = None) -> None:  # noqa: ARG002
        """Have the engine build its index, of all spaces.

        Segments below about 20 MB get none and are searched exactly. The engine lets nothing else
        run in this process meanwhile, searches included. What is there stays there if the process
        is killed in the middle.
        """
        with self._write_lock:
            self._require_space(space)
            self._begin_write()
            self._engine.optimize()

    def index_settings(self, space: str) -> Mapping[str, object]:
        self._require_space(space)
        return {
            "kind": "hnsw",
            "settings": "the engine's own",
            "indexed_vectors": self._engine.indexed_vectors(),
        }

    def flush(self) -> None:
        self._engine.flush()

    def close(self) -> None:
        with self._write_lock:
            if self._closed:
                return
            self._closed = True
            try:
                self.flush()
                self._folder.seal(self._holdings())
            finally:
                self._engine.close()
                self._folder.close()

    def _remove_doomed(self) -> None:
        for vector in self._folder.doomed_vectors():
            self._engine.delete_vector(vector)
        self._folder.forget_doomed()

    def _check_seal(self) -> None:
        """Compare with what was there at the last clean close: files can go missing quietly."""
        sealed = self._folder.read_seal()
        self._sealed = sealed is not None
        if sealed is not None and sealed != (found := self._holdings()):
            raise self._engine.damaged(f"it held {sealed} when it was closed, now {found}")

    def _holdings(self) -> dict[str, int]:
        """How many items there are, and vectors of each space."""
        held = {name: self.count(has=name) for name in sorted(self._spaces)}
        return {"items": self.count()} | {f"vectors of {name}": n for name, n in held.items()}

    def _begin_write(self) -> None:
        self._engine.refuse_closed()
        if self._sealed:
            self._folder.break_seal()
            self._sealed = False

    def _point(self, draft: Draft) -> edge.Point:
        vectors = {self._spaces[name].vector: row.tolist() for name, row in draft.vectors.items()}
        # Random, not counted: a version seen before a crash must not come again after it.
        payload = point_payload(draft.id, secrets.randbits(62), draft.payload)
        return edge.Point(point_id(draft.id), vectors, payload)

    def _versions(self, ids: Sequence[Id]) -> dict[Id, int]:
        records = self._engine.retrieve([point_id(id) for id in ids], KEY_FIELDS, False)
        there = {id: version for id, version, _ in map(record_key, records)}
        return {id: there[id] for id in ids if id in there}


def _where(
    spaces: Mapping[str, StoredSpace],
    *,
    has: str | None = None,
    lacks: str | None = None,
    filter: Filter | None = None,
) -> edge.Filter:
    must: list[Any] = [condition(filter, EdgeWords())] if filter else []
    must_not: list[Any] = []
    if has is not None:
        must.append(edge.HasVectorCondition(spaces[has].vector))
    if lacks is not None and lacks in spaces:
        must_not.append(edge.HasVectorCondition(spaces[lacks].vector))
    return edge.Filter(must=must, must_not=must_not)


def _item(record: Any, spaces: Mapping[str, StoredSpace]) -> Item:
    held = record.vector
    vectors = {
        name: np.asarray(held[stored.vector], dtype=np.float32)
        for name, stored in (spaces.items() if held else ())
        if stored.vector in held
    }
    id, version, payload = record_key(record)
    return Item(id, version, vectors, user_payload(payload))


def _vector_names(spaces: Mapping[str, StoredSpace], names: Sequence[str]) -> list[str] | bool:
    return [spaces[name].vector for name in names if name in spaces] or False


def _outcome(write: VectorWrite, versions: Mapping[Id, int]) -> Outcome:
    if write.id not in versions:
        return Outcome.GONE
    return Outcome.APPLIED if versions[write.id] == write.version else Outcome.STALE
