"""The store of a Qdrant server on the client's local mode: no server, the same semantics."""

from __future__ import annotations

import threading
from pathlib import Path
from typing import Any

from qdrant_client import QdrantClient

from crossfade.stores import Store
from crossfade.stores.qdrant_server.client import Client
from crossfade.stores.qdrant_server.store import QdrantServerStore

__all__ = ["local_store", "store_of"]

_HELD: dict[Path, QdrantClient] = {}


def local_store(place: Path) -> Store:
    """Open or create a collection of the local mode that this process finds again by its place."""
    return store_of(_HELD.setdefault(place, QdrantClient(":memory:")), closing=False)


def store_of(client: QdrantClient, *, closing: bool) -> Store:
    """The store on a client."""
    guarded: Any = _OneAtATime(client, closing)
    return QdrantServerStore(Client(guarded, "gallery", "qdrant+http://local:6333/gallery"))


class _OneAtATime:
    """The local mode answers one request at a time; a server does that by itself."""

    def __init__(self, client: QdrantClient, closing: bool) -> None:
        self._client, self._closing = client, closing
        self._lock = threading.RLock()

    def close(self) -> None:
        """Close the client, if it is not to be found again."""
        if self._closing:
            self._client.close()

    def __getattr__(self, name: str) -> Any:
        function = getattr(self._client, name)

        def call(*arguments: Any, **named: Any) -> Any:
            with self._lock:
                return function(*arguments, **named)

        return call
