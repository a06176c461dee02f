"""A client of a server, which must be new enough for conditional writes."""

from __future__ import annotations

import re
import warnings

from qdrant_client import QdrantClient

from crossfade.errors import InvalidInput, StoreError
from crossfade.stores.base import Store
from crossfade.stores.qdrant_server.client import Client
from crossfade.stores.qdrant_server.store import QdrantServerStore

__all__ = ["check_version", "connect"]

OLDEST = (1, 16)
"""An older server would ignore the condition of a conditional write."""
_TIMEOUT_SECONDS = 60


def connect(
    protocol: str, host: str, port: int, collection: str, key: str | None, *, create: bool = True
) -> Store:
    """Open a collection of a server; create it if it is not there and may be."""
    with warnings.catch_warnings():
        # That a key goes over http has been decided; the version is compared below.
        warnings.simplefilter("ignore", UserWarning)
        raw = QdrantClient(
            url=f"{protocol}://{host}:{port}",
            api_key=key,
            timeout=_TIMEOUT_SECONDS,
            check_compatibility=False,
        )
    client = Client(raw, collection, f"qdrant+{protocol}://{host}:{port}/{collection}")
    try:
        check_version(client.server_version(), client.uri)
        if not create and not client.is_there():
            raise InvalidInput(f"there is no collection at {client.uri}; is the name right?")
        return QdrantServerStore(client)
    except BaseException:
        client.close()
        raise


def check_version(version: str, uri: str) -> None:
    """Raise StoreError if a server is too old."""
    numbers = tuple(int(number) for number in re.findall(r"\d+", version)[:2])
    if numbers < OLDEST:
        raise StoreError(
            f"{uri} runs version {version}, wanted {OLDEST[0]}.{OLDEST[1]} or newer: an older "
            "server ignores the condition of a conditional write; upgrade it"
        )
