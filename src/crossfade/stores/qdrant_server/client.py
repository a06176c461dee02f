"""A collection behind a guard: the client's errors become ours."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from typing import Any, TypeVar

from qdrant_client import QdrantClient, models
from qdrant_client.http.exceptions import (
    ApiException,
    ResponseHandlingException,
    UnexpectedResponse,
)

from crossfade.errors import StoreError, StoreUnavailable

__all__ = ["Client", "PointIds"]

PointIds = Sequence[int | str]
_Result = TypeVar("_Result")
_STRONG = models.WriteOrdering.STRONG
"""In a cluster all writes go through one leader, so a condition is compared with the last."""
_BUSY = (429, 502, 503, 504)


class Client:
    """One collection of a server, or of the client's local mode."""

    def __init__(self, client: QdrantClient, collection: str, uri: str) -> None:
        self.uri = uri
        self._client, self._collection = client, collection
        self._closed = False

    def server_version(self) -> str:
        """The server's version."""
        return str(self._call(lambda: self._client.info().version))

    def is_there(self) -> bool:
        """Whether the collection exists."""
        return bool(self._call(lambda: self._client.collection_exists(self._collection)))

    def create(self) -> None:
        """Create the collection, without vectors, if it is not there."""
        if not self.is_there():
            self._call(lambda: self._client.create_collection(self._collection, vectors_config={}))

    def info(self) -> Any:
        """The collection's description."""
        return self._call(lambda: self._client.get_collection(self._collection))

    def create_vector(self, name: str, dim: int) -> None:
        """Make room for vectors."""
        dense = models.DenseVectorConfig(size=dim, distance=models.Distance.DOT)
        config = models.DenseVectorNameConfig(dense=dense)
        self._call(lambda: self._client.create_vector_name(self._collection, name, config))

    def delete_vector(self, name: str) -> None:
        """Drop all vectors of a name."""
        self._call(lambda: self._client.delete_vector_name(self._collection, name))

    def upsert(self, points: Sequence[models.PointStruct], condition: Any = None) -> None:
        """Write whole points; those that are there only if they pass the condition."""
        self._call(
            lambda: self._client.upsert(
                self._collection,
                list(points),
                wait=True,
                ordering=_STRONG,
                update_filter=condition,
            )
        )

    def update_vectors(self, vector: str, rows: Mapping[int | str, Any], condition: Any) -> bool:
        """Attach vectors to points that pass a condition; False if a point is gone."""
        points = [models.PointVectors(id=id, vector={vector: row}) for id, row in rows.items()]

        def update() -> bool:
            try:
                self._client.update_vectors(
                    self._collection,
                    points,
                    wait=True,
                    ordering=_STRONG,
                    update_filter=condition,
                )
            except KeyError:  # says the local mode
                return False
            except UnexpectedResponse as error:
                if error.status_code != 404:
                    raise
                return False
            return True

        return self._call(update)

    def delete(self, ids: PointIds) -> None:
        """Delete points."""
        selector = models.PointIdsList(points=list(ids))
        self._call(
            lambda: self._client.delete(self._collection, selector, wait=True, ordering=_STRONG)
        )

    def retrieve(self, ids: PointIds, payload: Any, vectors: Any = False) -> list[Any]:
        """Records of the points that are there."""
        if not ids:
            self._refuse_closed()
            return []
        return self._call(
            lambda: self._client.retrieve(
                self._collection, list(ids), with_payload=payload, with_vectors=vectors
            )
        )

    def scroll(self, offset: Any, limit: int, where: Any, payload: Any, vectors: Any) -> list[Any]:
        """Records in the order of point ids."""
        return self._call(
            lambda: self._client.scroll(
                self._collection,
                scroll_filter=where,
                limit=limit,
                offset=offset,
                with_payload=payload,
                with_vectors=vectors,
            )
        )[0]

    def query(self, requests: Sequence[models.QueryRequest]) -> list[list[Any]]:
        """Scored points, a list for each request."""
        if not requests:
            return []
        answers = self._call(
            lambda: self._client.query_batch_points(self._collection, list(requests))
        )
        return [list(answer.points) for answer in answers]

    def count(self, where: Any) -> int:
        """How many points pass a filter."""
        answer = self._call(
            lambda: self._client.count(self._collection, count_filter=where, exact=True)
        )
        return int(answer.count)

    def close(self) -> None:
        """Release the connection. Closing again is harmless."""
        if not self._closed:
            self._closed = True
            self._client.close()

    def _refuse_closed(self) -> None:
        if self._closed:
            raise StoreError(f"{self.uri} has been closed; open it again")

    def _call(self, function: Callable[[], _Result]) -> _Result:
        self._refuse_closed()
        try:
            return function()
        except ResponseHandlingException as error:
            raise StoreUnavailable(f"{self.uri} can't be reached: {error}; try again") from error
        except UnexpectedResponse as error:
            kind = StoreUnavailable if error.status_code in _BUSY else StoreError
            raise kind(f"{self.uri} answered {error.status_code}: {error.content!r}") from error
        except (ApiException, ValueError, KeyError, RuntimeError) as error:
            raise StoreError(f"{self.uri}: {error}") from error
