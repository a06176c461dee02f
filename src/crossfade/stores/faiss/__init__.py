"""``faiss://PATH``: vectors searched by FAISS, and kept in SQLite beside it.

``faiss://gallery`` is a folder below the working directory, ``faiss:///srv/gallery`` an absolute
one; it is created if it is not there. ``?index=hnsw`` (the default) or ``?index=ivf`` says which
kind of approximate index ``build_index`` builds; without it every search is exact.
"""

from __future__ import annotations

from pathlib import Path

from crossfade.errors import InvalidInput, MissingExtra
from crossfade.stores.base import Capabilities, Guard, Store

__all__ = ["CAPABILITIES", "KINDS", "open_store"]

KINDS = ("hnsw", "ivf")
"""The kinds of approximate index."""

CAPABILITIES = Capabilities(
    scheme="faiss",
    persistent=True,
    approximate=True,
    server=False,
    extra="faiss",
    uri="faiss://PATH",
    package="faiss",
    atomic_batches=True,
    conditional_write=Guard.ONE_WRITER,
    tested_against="faiss-cpu 1.15",
)


def open_store(location: str) -> Store:
    """Open or create the collection in a folder.

    Args:
        location: what follows ``faiss://``: the folder's path, and the kind of index.

    Raises:
        MissingExtra: FAISS is not installed.
        InvalidInput: no folder is named, or an unknown option.
        StoreError: another process owns the folder, or it is damaged or somebody else's.
    """
    path, _, options = location.partition("?")
    if not path:
        raise InvalidInput("faiss:// needs a folder: faiss://PATH or faiss:///ABSOLUTE/PATH")
    name, _, kind = options.partition("=")
    if options and (name != "index" or kind not in KINDS):
        raise InvalidInput(f"faiss:// has the option index=hnsw or index=ivf, got {options!r}")
    try:
        from crossfade.stores.faiss.store import FaissStore
    except ModuleNotFoundError as error:
        if error.name != "faiss":
            raise
        raise MissingExtra("the faiss:// store", "faiss") from error
    return FaissStore(Path(path), kind or KINDS[0])
