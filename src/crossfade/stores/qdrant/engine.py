"""Qdrant's engine behind a guard: its errors become ours, its damage is named."""

from __future__ import annotations

import shutil
from collections.abc import Callable, Iterable, Sequence
from typing import Any, TypeVar

import qdrant_edge as edge

from crossfade.embeddings import FloatArray
from crossfade.errors import StoreError
from crossfade.stores.qdrant.folder import Folder, StoredSpace
from crossfade.stores.qdrant.points import PointId

__all__ = ["Engine"]

_Result = TypeVar("_Result")


class Engine:
    """The shard in an owned folder; created if the folder is new.

    Raises:
        StoreError: the shard is damaged or missing.
    """

    def __init__(self, folder: Folder) -> None:
        self._folder = folder
        self._closed = False
        self._shard = self._open()
        if not folder.is_started():
            if self.points():
                raise self.damaged("its catalog is empty though there are points")
            folder.mark_started()

    def points(self) -> int:
        """How many points there are, at little cost."""
        return int(self._call(lambda: self._shard.info().points_count))

    def indexed_vectors(self) -> int:
        """How many vectors, of all spaces, are in an approximate index."""
        return int(self._call(lambda: self._shard.info().indexed_vectors_count))

    def optimize(self) -> None:
        """Put segments together and build their approximate indexes, if they are large enough."""
        self._call(self._shard.optimize)

    def create_vector(self, stored: StoredSpace) -> None:
        """Make room for a space's vectors."""
        create = edge.UpdateOperation.create_dense_vector
        self._update(create(stored.vector, stored.space.dim, edge.Distance.Dot))

    def delete_vector(self, name: str) -> None:
        """Drop a space's vectors. Doing it again is harmless."""
        self._update(edge.UpdateOperation.delete_vector_name(name))

    def upsert(self, points: Sequence[Any]) -> None:
        """Write whole points, as one record of the engine's log."""
        self._update(edge.UpdateOperation.upsert_points(list(points)))

    def set_vectors(self, vector: str, rows: Iterable[tuple[PointId, FloatArray]]) -> None:
        """Attach vectors. All points must be there: the engine fails half-way otherwise."""
        points = [edge.PointVectors(id, {vector: row.tolist()}) for id, row in rows]
        self._update(edge.UpdateOperation.update_vectors(points))

    def delete(self, ids: Sequence[PointId]) -> None:
        """Delete points."""
        self._update(edge.UpdateOperation.delete_points(list(ids)))

    def retrieve(self, ids: Sequence[PointId], payload: Any, vectors: Any) -> list[Any]:
        """Records of the points that are there."""
        return list(self._call(lambda: self._shard.retrieve(list(ids), payload, vectors)))

    def scroll(self, request: Any) -> list[Any]:
        """Records in the order of point ids."""
        return self._call(lambda: self._shard.scroll(request))[0]

    def query(self, requests: Sequence[Any]) -> list[list[Any]]:
        """Scored points, a list for each request."""
        batch = edge.QueryBatchRequest(list(requests))
        return self._call(lambda: self._shard.query_batch(batch)) if requests else []

    def count(self, where: Any) -> int:
        """How many points pass a filter."""
        request = edge.CountRequest(exact=True, filter=where)
        return int(self._call(lambda: self._shard.count(request)))

    def flush(self) -> None:
        """Write everything to disk and wait for the disk."""
        self._call(self._shard.flush)

    def close(self) -> None:
        """Release the shard. Closing again is harmless."""
        if not self._closed:
            self._closed = True
            self._shard.close()

    def refuse_closed(self) -> None:
        """Raise StoreError if it has been closed."""
        if self._closed:
            raise StoreError(f"qdrant://{self._folder.path} has been closed; open it again")

    def damaged(self, what: str) -> StoreError:
        """The error for a folder that is not as it was left."""
        path = self._folder.path
        return StoreError(f"qdrant://{path} is damaged: {what}; restore it from a copy")

    def _open(self) -> edge.EdgeShard:
        shard = self._folder.shard
        if not shard.exists():
            if self._folder.is_started():
                raise self.damaged(f"its folder {shard.name!r} is missing")
            self._create()
        if self._folder.doomed_vectors():
            # A change may have been cut off: without its config the engine asks the segments.
            (shard / "edge_config.json").unlink(missing_ok=True)
        try:
            return edge.EdgeShard.load(str(shard))
        except BaseException as error:
            if "WouldBlock" in str(error):
                raise StoreError(
                    f"qdrant://{self._folder.path} is still held by a child process of its last "
                    "owner, such as an encoder's worker; end it and open again, nothing is damaged"
                ) from error
            raise self.damaged(_refusal(error)) from error

    def _create(self) -> None:
        new = self._folder.new_shard
        shutil.rmtree(new, ignore_errors=True)
        # The engine wants at least one vector from the start; this one is never filled.
        config = edge.EdgeConfig(sparse_vectors={"unused": edge.EdgeSparseVectorParams()})
        try:
            edge.EdgeShard.create(str(new), config).close()
            new.replace(self._folder.shard)
        except Exception as error:
            raise StoreError(f"qdrant://{self._folder.path} can't be created: {error}") from error

    def _update(self, operation: edge.UpdateOperation) -> None:
        self._call(lambda: self._shard.update(operation))

    def _call(self, function: Callable[[], _Result]) -> _Result:
        self.refuse_closed()
        try:
            return function()
        except BaseException as error:
            raise StoreError(f"qdrant://{self._folder.path}: {_refusal(error)}") from error


def _refusal(error: BaseException) -> str:
    """The engine's words. Its panics derive from BaseException and have no importable name."""
    if isinstance(error, (KeyboardInterrupt, SystemExit, GeneratorExit)):
        raise error
    return str(error) or type(error).__name__
