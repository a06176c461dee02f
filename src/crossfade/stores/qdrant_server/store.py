"""The store on a collection of a server: named vectors, versions compared by the server."""

from __future__ import annotations

import secrets
import time
from collections.abc import Iterable, Mapping, Sequence
from typing import Any
from urllib.parse import quote, unquote

import numpy as np
from qdrant_client import models

from crossfade.embeddings import FloatArray, Space
from crossfade.errors import InvalidInput, StoreUnavailable
from crossfade.stores.base import Draft, Id, Item, Match, Outcome, Store, VectorWrite
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
from crossfade.stores.qdrant.conditions import condition
from crossfade.stores.qdrant.nearest import match_of, nearest
from crossfade.stores.qdrant.points import (
    KEY_FIELDS,
    point_id,
    point_payload,
    record_key,
    refuse_collisions,
    user_payload,
)
from crossfade.stores.qdrant_server import CAPABILITIES
from crossfade.stores.qdrant_server.client import Client
from crossfade.stores.qdrant_server.pointers import Pointers, not_a_pointer
from crossfade.stores.qdrant_server.words import ClientWords, has_version

__all__ = ["QdrantServerStore"]

_PREFIX = "space-"
_LONGEST_NAME = 200
_PUT_BYTES = 4 * 2**20
"""Vectors in one request; as JSON it is five times as long, and servers take 32 MB."""
_INDEX_SECONDS = 600.0


class QdrantServerStore(Store):
    """A collection. Several processes may write: the server compares versions as it writes.

    A ``put`` of many items goes in several requests and is no transaction. What a server has
    acknowledged it has in its own log.
    """

    capabilities = CAPABILITIES

    def __init__(self, client: Client) -> None:
        self._client = client
        self._pointers = Pointers(client)
        client.create()

    def spaces(self) -> Mapping[str, Space]:
        vectors = self._client.info().config.params.vectors
        held = vectors if isinstance(vectors, dict) else {}
        names = {name: unquote(name.removeprefix(_PREFIX)) for name in held}
        return {
            names[vector]: Space(names[vector], int(config.size))
            for vector, config in held.items()
            if vector.startswith(_PREFIX)
        }

    def ensure_space(self, space: Space) -> None:
        if held := self.spaces().get(space.name):
            held.require(space)
        else:
            self._client.create_vector(_vector(space.name), space.dim)

    def drop_space(self, name: str) -> None:
        if name in self.spaces():
            self._client.delete_vector(_vector(name))

    def put(self, drafts: Sequence[Draft]) -> None:
        spaces = self.spaces()
        checked = check_drafts(drafts, spaces)
        hashed = [_id(draft.id) for draft in checked if _id(draft.id) != draft.id]
        present = self._client.retrieve(hashed, KEY_FIELDS)
        refuse_collisions([draft.id for draft in checked], present)
        width = sum(space.dim for space in spaces.values())
        rows = max(1, _PUT_BYTES // (4 * max(width, 16)))
        for start in range(0, len(checked), rows):
            self._client.upsert([_point(draft) for draft in checked[start : start + rows]])

    def set_vectors(self, space: str, writes: Sequence[VectorWrite]) -> list[Outcome]:
        checked = check_writes(writes, check_space(self.spaces(), space))
        while True:
            versions = self._versions([write.id for write in checked])
            # The last of several writes to one item stands.
            wanted = {
                _id(write.id): write for write in checked if versions.get(write.id) == write.version
            }
            if not wanted:
                return [_outcome(write, versions) for write in checked]
            rows = {id: write.vector.tolist() for id, write in wanted.items()}
            same = has_version({id: write.version for id, write in wanted.items()})
            if self._client.update_vectors(_vector(space), rows, same):
                # A version that is the same afterwards was the same during the write.
                after = self._versions([write.id for write in checked])
                return [_outcome(write, after) for write in checked]

    def delete(self, ids: Iterable[Id]) -> int:
        there = self._versions(plain_ids(ids))
        if there:
            self._client.delete([_id(id) for id in there])
        return len(there)

    def get(self, ids: Sequence[Id], *, vectors: Sequence[str] = ()) -> list[Item | None]:
        wanted = plain_ids(ids)
        names = self._vector_names(vectors)
        points = [_id(id) for id in dict.fromkeys(wanted)]
        records = self._client.retrieve(points, True, names)
        items = {item.id: item for item in map(_item, records)}
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
        spaces = self.spaces()
        rows = check_queries(queries, check_space(spaces, space))
        check_filter(filter or {})
        where = _where(spaces, has=space, lacks=lacks, filter=filter)

        def fetch(
            queries: Sequence[FloatArray] | FloatArray, limit: int, exact: bool
        ) -> list[list[Match]]:
            requests = [
                models.QueryRequest(
                    query=query.tolist(),
                    using=_vector(space),
                    filter=where,
                    limit=limit,
                    params=models.SearchParams(exact=exact),
                    with_payload=KEY_FIELDS,
                )
                for query in queries
            ]
            return [[match_of(point) for point in found] for found in self._client.query(requests)]

        return nearest(fetch, rows, check_k(k), self.count(has=space), exact=exact)

    def scan(
        self,
        *,
        after: Id | None = None,
        n: int,
        lacks: str | None = None,
        vectors: Sequence[str] = (),
        payload: bool = True,
    ) -> list[Item]:
        start = None if after is None else _id(plain_id(after))
        where = _where(self.spaces(), lacks=lacks)
        read = payload or KEY_FIELDS
        records = self._client.scroll(start, n + 1, where, read, self._vector_names(vectors))
        # Qdrant begins at the offset, we behind it.
        return [_item(record) for record in records if record.id != start][:n]

    def count(self, *, has: str | None = None, lacks: str | None = None) -> int:
        spaces = self.spaces()
        if has is not None and has not in spaces:
            return 0
        return self._client.count(_where(spaces, has=has, lacks=lacks))

    def read_pointer(self, name: str) -> str | None:
        return self._pointers.read(name)

    def swap_pointer(self, name: str, expect: str | None, value: str | None) -> bool:
        return self._pointers.swap(name, expect, value)

    def build_index(self, space: str, *, lacks: str | None = None) -> None:  # noqa: ARG002
        """Wait until the server, which builds its index by itself, is done."""
        self._require_space(space)
        last = time.monotonic() + _INDEX_SECONDS
        while str(self._client.info().status.value) != "green":
            if time.monotonic() > last:
                raise StoreUnavailable(
                    f"{self._client.uri} has been building its index for {_INDEX_SECONDS:.0f} s; "
                    "searches work meanwhile, try again later"
                )
            time.sleep(0.5)

    def index_settings(self, space: str) -> Mapping[str, object]:
        self._require_space(space)
        info = self._client.info()
        hnsw = info.config.hnsw_config
        return {
            "kind": "hnsw",
            "m": hnsw.m,
            "ef_construct": hnsw.ef_construct,
            "full_scan_threshold": hnsw.full_scan_threshold,
            "indexed_vectors": info.indexed_vectors_count or 0,
        }

    def flush(self) -> None:
        # A server acknowledges a write when it is in its log.
        self._client.info()

    def close(self) -> None:
        self._client.close()

    def _versions(self, ids: Sequence[Id]) -> dict[Id, int]:
        records = self._client.retrieve([_id(id) for id in dict.fromkeys(ids)], KEY_FIELDS)
        there = {id: version for id, version, _ in map(record_key, records)}
        return {id: there[id] for id in ids if id in there}

    def _vector_names(self, names: Sequence[str]) -> list[str] | bool:
        spaces = self.spaces() if names else {}
        return [_vector(name) for name in names if name in spaces] or False


def _id(id: Id) -> int | str:
    point = point_id(id)
    return point if isinstance(point, int) else str(point)


def _vector(name: str) -> str:
    vector = _PREFIX + quote(name, safe="")
    if len(vector) > _LONGEST_NAME:
        raise InvalidInput(
            f"space {name!r} is {len(vector)} characters long as the name of a vector, Qdrant "
            f"takes {_LONGEST_NAME}; choose a shorter name"
        )
    return vector


def _point(draft: Draft) -> models.PointStruct:
    # Random, not counted: a version seen before a crash must not come again after it.
    payload = point_payload(draft.id, secrets.randbits(62), draft.payload)
    vectors: Any = {_vector(name): row.tolist() for name, row in draft.vectors.items()}
    return models.PointStruct(id=_id(draft.id), vector=vectors, payload=payload)


def _item(record: Any) -> Item:
    held = record.vector or {}
    vectors = {
        unquote(vector.removeprefix(_PREFIX)): np.asarray(row, dtype=np.float32)
        for vector, row in held.items()
    }
    id, version, payload = record_key(record)
    return Item(id, version, vectors, user_payload(payload))


def _where(
    spaces: Mapping[str, Space],
    *,
    has: str | None = None,
    lacks: str | None = None,
    filter: Filter | None = None,
) -> models.Filter:
    must: list[Any] = [not_a_pointer()]
    must_not: list[Any] = []
    if filter:
        must.append(condition(filter, ClientWords()))
    if has is not None:
        must.append(models.HasVectorCondition(has_vector=_vector(has)))
    if lacks is not None and lacks in spaces:
        must_not.append(models.HasVectorCondition(has_vector=_vector(lacks)))
    return models.Filter(must=must, must_not=must_not)


def _outcome(write: VectorWrite, versions: Mapping[Id, int]) -> Outcome:
    if write.id not in versions:
        return Outcome.GONE
    return Outcome.APPLIED if versions[write.id] == write.version else Outcome.STALE
