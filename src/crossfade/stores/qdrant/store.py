"""The store on Qdrant's embedded engine."""

from __future__ import annotations

import secrets
import shutil
import threading
from collections.abc import Callable, Iterable, Mapping, Sequence
from pathlib import Path
from typing import Any, TypeVar

import numpy as np
import qdrant_edge as edge

from crossfade.embeddings import FloatArray, Space
from crossfade.errors import StoreError
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
    check_queries,
    check_space,
    check_writes,
    plain_id,
    plain_ids,
)
from crossfade.stores.filters import Filter, check_filter
from crossfade.stores.qdrant.folder import Folder, StoredSpace
from crossfade.stores.qdrant.points import (
    KEY_FIELDS,
    PointId,
    condition,
    point_id,
    point_payload,
    record_id,
    user_payload,
)

__all__ = ["QdrantStore"]

_Result = TypeVar("_Result")
_PUT_BYTES = 8 * 2**20
"""Vectors in one operation of the engine; its log takes an operation as one record."""


class QdrantStore(Store):
    """A folder with the engine's shard and our catalog. Use :func:`open_store`.

    Reads run side by side; writes one after the other, so that a conditional write is one.
    """

    capabilities = Capabilities(
        scheme="qdrant", persistent=True, approximate=False, server=False, extra="qdrant"
    )

    def __init__(self, path: Path) -> None:
        self._write_lock = threading.RLock()
        self._folder = Folder(path)
        self._closed = False
        self._sealed = False
        self._spaces: dict[str, StoredSpace] = {}
        try:
            self._shard = self._open_shard()
            self._settle_spaces()
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
            self._begin_write()
            stored = self._folder.add_space(space)
            self._create_vector(stored)
            self._spaces = {**self._spaces, space.name: stored}

    def drop_space(self, name: str) -> None:
        with self._write_lock:
            if name not in self._spaces:
                return
            self._begin_write()
            self._folder.remove_space(name)
            self._spaces = {key: value for key, value in self._spaces.items() if key != name}
            self._drop_vectors()

    def put(self, drafts: Sequence[Draft]) -> None:
        with self._write_lock:
            checked = check_drafts(drafts, self.spaces())
            self._refuse_collisions([draft.id for draft in checked])
            self._begin_write()
            width = sum(stored.space.dim for stored in self._spaces.values())
            rows = max(1, _PUT_BYTES // (4 * max(width, 1)))
            for start in range(0, len(checked), rows):
                points = [self._point(draft) for draft in checked[start : start + rows]]
                self._update(edge.UpdateOperation.upsert_points(points))

    def set_vectors(self, space: str, writes: Sequence[VectorWrite]) -> list[Outcome]:
        with self._write_lock:
            checked = check_writes(writes, check_space(self.spaces(), space))
            versions = self._versions([write.id for write in checked])
            outcomes = [_outcome(write, versions) for write in checked]
            # The engine fails a whole operation half-way if one id is gone: name only those
            # that are there. The last of several writes to one item stands.
            applied = {
                write.id: write.vector
                for write, outcome in zip(checked, outcomes, strict=True)
                if outcome is Outcome.APPLIED
            }
            if applied:
                self._begin_write()
                vector = self._spaces[space].vector
                points = [
                    edge.PointVectors(point_id(id), {vector: row.tolist()})
                    for id, row in applied.items()
                ]
                self._update(edge.UpdateOperation.update_vectors(points))
            return outcomes

    def delete(self, ids: Iterable[Id]) -> int:
        with self._write_lock:
            there = self._versions(plain_ids(ids))
            if there:
                self._begin_write()
                points = [point_id(id) for id in there]
                self._update(edge.UpdateOperation.delete_points(points))
            return len(there)

    def get(self, ids: Sequence[Id], *, vectors: Sequence[str] = ()) -> list[Item | None]:
        wanted = plain_ids(ids)
        spaces = self._spaces
        records = self._retrieve(wanted, True, _vector_names(spaces, vectors))
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
        wanted = _Wanted(spaces[space].vector, self._where(None, lacks, filter), exact)
        k = check_k(k)
        points = int(self._call(lambda: self._shard.info().points_count))
        limit = min(k, points) + 1
        found = self._query(wanted, rows, limit)
        return [
            _cut(self._resolve_tie(wanted, row, listed, k, limit), k)
            for row, listed in zip(rows, found, strict=True)
        ]

    def scan(
        self,
        *,
        after: Id | None = None,
        n: int,
        lacks: str | None = None,
        vectors: Sequence[str] = (),
    ) -> list[Item]:
        spaces = self._spaces
        start = None if after is None else point_id(plain_id(after))
        request = edge.ScrollRequest(
            offset=start,
            limit=n + 1,
            filter=self._where(None, lacks, None),
            with_payload=True,
            with_vector=_vector_names(spaces, vectors),
        )
        records, _ = self._call(lambda: self._shard.scroll(request))
        behind = [record for record in records if record.id != start]
        return [_item(record, spaces) for record in behind[:n]]

    def count(self, *, has: str | None = None, lacks: str | None = None) -> int:
        if has is not None and has not in self._spaces:
            return 0
        request = edge.CountRequest(exact=True, filter=self._where(has, lacks, None))
        return int(self._call(lambda: self._shard.count(request)))

    def read_pointer(self, name: str) -> str | None:
        self._refuse_closed()
        return self._folder.read_pointer(name)

    def swap_pointer(self, name: str, expect: str | None, value: str | None) -> bool:
        self._refuse_closed()
        return self._folder.swap_pointer(name, expect, value)

    def flush(self) -> None:
        self._call(self._shard.flush)

    def close(self) -> None:
        with self._write_lock:
            if self._closed:
                return
            try:
                self.flush()
                self._folder.seal(self._counts())
            finally:
                self._closed = True
                self._shard.close()
                self._folder.close()

    # Opening

    def _open_shard(self) -> edge.EdgeShard:
        started, shard = self._folder.is_started(), self._folder.shard
        if not shard.exists():
            if started:
                raise self._damaged("its folder 'shard' is missing")
            self._create_shard()
        try:
            opened = edge.EdgeShard.load(str(shard))
            points = opened.info().points_count
        except BaseException as error:
            raise self._damaged(_refusal(error)) from error
        if not started:
            if points:
                raise self._damaged("its catalog is empty though there are points")
            self._folder.mark_started()
        return opened

    def _create_shard(self) -> None:
        new = self._folder.new_shard
        shutil.rmtree(new, ignore_errors=True)
        # The engine wants at least one vector from the start; this one is never filled.
        config = edge.EdgeConfig(sparse_vectors={"unused": edge.EdgeSparseVectorParams()})
        try:
            edge.EdgeShard.create(str(new), config).close()
            new.replace(self._folder.shard)
        except Exception as error:
            raise StoreError(f"qdrant://{self.folder} can't be created: {error}") from error

    def _settle_spaces(self) -> None:
        self._spaces = self._folder.spaces()
        self._drop_vectors()
        for stored in self._spaces.values():
            self._create_vector(stored)

    def _check_seal(self) -> None:
        sealed = self._folder.read_seal()
        self._sealed = sealed is not None
        if sealed is not None and sealed != (counts := self._counts()):
            raise self._damaged(f"it held {sealed} when it was closed and {counts} are found")

    def _counts(self) -> dict[str, int]:
        """Items, and vectors of each space by number; what a clean close must find again."""
        counts = {"items": self.count()}
        for name, stored in sorted(self._spaces.items()):
            counts[stored.vector] = self.count(has=name)
        return counts

    def _damaged(self, what: str) -> StoreError:
        return StoreError(f"qdrant://{self.folder} is damaged: {what}; restore it from a copy")

    # Writing

    def _begin_write(self) -> None:
        self._refuse_closed()
        if self._sealed:
            self._folder.break_seal()
            self._sealed = False

    def _create_vector(self, stored: StoredSpace) -> None:
        dot = edge.Distance.Dot
        create = edge.UpdateOperation.create_dense_vector
        self._update(create(stored.vector, stored.space.dim, dot))

    def _drop_vectors(self) -> None:
        for vector in self._folder.dropped_vectors():
            self._update(edge.UpdateOperation.delete_vector_name(vector))
        self._folder.forget_dropped()

    def _point(self, draft: Draft) -> edge.Point:
        vectors = {self._spaces[name].vector: row.tolist() for name, row in draft.vectors.items()}
        payload = point_payload(draft.id, secrets.randbits(62), draft.payload)
        return edge.Point(point_id(draft.id), vectors, payload)

    def _refuse_collisions(self, ids: Sequence[Id]) -> None:
        by_point = {point_id(id): id for id in ids if point_id(id) != id}
        for record in self._retrieve(list(by_point.values()), KEY_FIELDS, False):
            if (stored := record_id(record)) != by_point[record.id]:
                raise StoreError(
                    f"ids {by_point[record.id]!r} and {stored!r} have the same hash; rename one"
                )

    def _versions(self, ids: Sequence[Id]) -> dict[Id, int]:
        records = self._retrieve(ids, KEY_FIELDS, False)
        there = {record_id(record): int(record.payload["version"]) for record in records}
        return {id: there[id] for id in ids if id in there}

    # Reading

    def _retrieve(self, ids: Sequence[Id], payload: Any, vectors: Any) -> list[Any]:
        points: list[PointId] = [point_id(id) for id in ids]
        return list(self._call(lambda: self._shard.retrieve(points, payload, vectors)))

    def _where(self, has: str | None, lacks: str | None, filter: Filter | None) -> Any:
        must: list[Any] = []
        must_not: list[Any] = []
        if has is not None:
            must.append(edge.HasVectorCondition(self._spaces[has].vector))
        if filter:
            must.append(condition(filter))
        if lacks is not None and lacks in self._spaces:
            must_not.append(edge.HasVectorCondition(self._spaces[lacks].vector))
        return edge.Filter(must=must, must_not=must_not)

    def _query(self, wanted: _Wanted, rows: FloatArray, limit: int) -> list[list[Match]]:
        if not len(rows):
            return []
        requests = [wanted.request(row, limit) for row in rows]
        batch = edge.QueryBatchRequest(requests)
        found = self._call(lambda: self._shard.query_batch(batch))
        return [[_match(point) for point in points] for points in found]

    def _resolve_tie(
        self, wanted: _Wanted, row: FloatArray, found: list[Match], k: int, limit: int
    ) -> list[Match]:
        """Fetch on while the items behind the cut score the same as the last before it.

        The engine returns any of the items that tie; which are first by id is known only when
        all of them are there.
        """
        while len(found) == limit > k and found[-1].score == found[k - 1].score:
            limit *= 2
            found = self._query(wanted, row[None, :], limit)[0]
        return found

    # The engine

    def _update(self, operation: edge.UpdateOperation) -> None:
        self._call(lambda: self._shard.update(operation))

    def _call(self, function: Callable[[], _Result]) -> _Result:
        self._refuse_closed()
        try:
            return function()
        except BaseException as error:
            raise StoreError(f"qdrant://{self.folder}: {_refusal(error)}") from error

    def _refuse_closed(self) -> None:
        if self._closed:
            raise StoreError(f"qdrant://{self.folder} has been closed; open it again")


class _Wanted:
    """What a search looks for, apart from the query."""

    def __init__(self, vector: str, where: Any, exact: bool) -> None:
        self._vector = vector
        self._where = where
        self._params = edge.SearchParams(exact=exact)

    def request(self, row: FloatArray, limit: int) -> edge.QueryRequest:
        return edge.QueryRequest(
            limit=limit,
            query=edge.Query.Nearest(row.tolist(), using=self._vector),
            filter=self._where,
            params=self._params,
            with_payload=KEY_FIELDS,
        )


def _cut(found: list[Match], k: int) -> list[Match]:
    return sorted(found, key=lambda match: (-match.score, id_order(match.id)))[:k]


def _match(point: Any) -> Match:
    return Match(record_id(point), int(point.payload["version"]), float(point.score))


def _item(record: Any, spaces: Mapping[str, StoredSpace]) -> Item:
    held = record.vector or {}
    vectors = {
        name: np.asarray(held[stored.vector], dtype=np.float32)
        for name, stored in spaces.items()
        if stored.vector in held
    }
    id = record_id(record)
    return Item(id, int(record.payload["version"]), vectors, user_payload(record.payload))


def _vector_names(spaces: Mapping[str, StoredSpace], names: Sequence[str]) -> list[str] | bool:
    return [spaces[name].vector for name in names if name in spaces] or False


def _outcome(write: VectorWrite, versions: Mapping[Id, int]) -> Outcome:
    if write.id not in versions:
        return Outcome.GONE
    return Outcome.APPLIED if versions[write.id] == write.version else Outcome.STALE


def _refusal(error: BaseException) -> str:
    """The engine's words. Its panics derive from BaseException and have no importable name."""
    if isinstance(error, (KeyboardInterrupt, SystemExit, GeneratorExit)):
        raise error
    return str(error) or type(error).__name__
