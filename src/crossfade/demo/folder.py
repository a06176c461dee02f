"""The demo's own folder: claimed, emptied of an earlier run, and nobody else's."""

from __future__ import annotations

import shutil
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

from crossfade.errors import OutputError
from crossfade.stores.ownership import FileLock, Owned

__all__ = ["DemoFolder", "claim_folder"]

_MARKER = "crossfade-demo.lock"


@dataclass(frozen=True)
class DemoFolder:
    """What is where."""

    root: Path

    @property
    def gallery(self) -> Path:
        """The embedded store."""
        return self.root / "gallery"

    @property
    def upgrade(self) -> Path:
        """The upgrade artifact."""
        return self.root / "upgrade"

    @property
    def report(self) -> Path:
        """The report's pages."""
        return self.root / "report"


@contextmanager
def claim_folder(root: Path) -> Iterator[DemoFolder]:
    """Make the folder, or empty it of an earlier run; hold it meanwhile.

    Raises:
        OutputError: it holds something else, another demo runs in it, or it can't be written.
    """
    folder = DemoFolder(root)
    _refuse_foreign(root)
    try:
        root.mkdir(parents=True, exist_ok=True)
        lock = FileLock(root / _MARKER)
    except Owned as error:
        raise OutputError(
            f"another demo is running in {root} ({error.owner}); wait for it, or use --out"
        ) from error
    except OSError as error:
        raise _not_writable(root, error) from error
    with lock:
        try:
            for earlier in (folder.gallery, folder.upgrade, folder.report):
                if earlier.exists():
                    shutil.rmtree(earlier)
        except OSError as error:
            raise _not_writable(root, error) from error
        yield folder


def _refuse_foreign(root: Path) -> None:
    if root.is_file():
        raise OutputError(f"can't write {root}: it is a file; name a folder")
    if root.is_dir() and any(root.iterdir()) and not (root / _MARKER).exists():
        raise OutputError(
            f"can't use {root}: the folder holds something that is no earlier demo; "
            "name a new or empty folder"
        )


def _not_writable(root: Path, error: OSError) -> OutputError:
    return OutputError(
        f"can't write {root}: {error.strerror or error}; name a folder that can be written"
    )
