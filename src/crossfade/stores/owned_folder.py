"""A folder that holds a collection and belongs to one process at a time."""

from __future__ import annotations

from pathlib import Path

from crossfade.errors import StoreError
from crossfade.stores.ownership import FileLock, Owned

__all__ = ["own_folder"]


def own_folder(path: Path, uri: str, catalog: str, data: str | None = None) -> FileLock:
    """Create the folder if it is not there, and own it until the lock is released.

    Args:
        path: the folder.
        uri: the store's URI, for messages.
        catalog: the file by which a folder is known to be the store's.
        data: what must not be there without the catalog.

    Raises:
        StoreError: another process owns it, it is somebody else's, or it can't be written.
    """
    _refuse_foreign(path, uri, catalog, data)
    try:
        path.mkdir(parents=True, exist_ok=True)
        return FileLock(path / "lock")
    except Owned as error:
        raise StoreError(
            f"{uri} is open in {error.owner}; one process owns a folder. "
            "Stop it, or close its gallery, and try again"
        ) from error
    except OSError as error:
        raise StoreError(
            f"{uri} can't be opened: {error.strerror}; check the path and its permissions"
        ) from error


def _refuse_foreign(path: Path, uri: str, catalog: str, data: str | None) -> None:
    if path.exists() and not path.is_dir():
        raise StoreError(f"{uri} is a file; name a folder")
    if not path.is_dir() or (path / catalog).exists():
        return
    if data is not None and (path / data).exists():
        raise StoreError(f"{uri} has lost its {catalog}; restore it from a copy")
    if any(file.name != "lock" for file in path.iterdir()):
        raise StoreError(f"{uri} holds other files and no {catalog}; name a new or empty folder")
