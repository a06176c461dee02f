"""``qdrant://PATH``: Qdrant's engine in this process, on disk. One process owns a folder.

``qdrant://gallery`` is a folder below the working directory, ``qdrant:///srv/gallery`` an
absolute one. It is created if it is not there. ``build_index`` builds the engine's HNSW index of
large collections; the engine lets nothing else run in the process meanwhile, so call it when no
searches wait.
"""

from __future__ import annotations

from pathlib import Path

from crossfade.errors import InvalidInput, MissingExtra
from crossfade.stores.base import Capabilities, Store

__all__ = ["CAPABILITIES", "open_store"]

CAPABILITIES = Capabilities(
    scheme="qdrant",
    persistent=True,
    approximate=True,
    server=False,
    extra="qdrant",
    uri="qdrant://PATH",
    package="qdrant_edge",
    tested_against="qdrant-edge-py 0.9",
)


def open_store(location: str) -> Store:
    """Open or create the collection in a folder.

    Args:
        location: the folder's path, what follows ``qdrant://``.

    Raises:
        MissingExtra: the engine's package is not installed.
        StoreError: another process owns the folder, or it is damaged or somebody else's.
    """
    if not location:
        raise InvalidInput("qdrant:// needs a folder: qdrant://PATH or qdrant:///ABSOLUTE/PATH")
    try:
        from crossfade.stores.qdrant.store import QdrantStore
    except ModuleNotFoundError as error:
        if error.name != "qdrant_edge":
            raise
        raise MissingExtra("the qdrant:// store", "qdrant") from error
    return QdrantStore(Path(location))
