"""One owner at a time: a lock that the system releases when its holder dies."""

from __future__ import annotations

import os
import sys
from pathlib import Path
from typing import Self

__all__ = ["FileLock", "Owned"]


class Owned(Exception):
    """Somebody else holds the lock. ``owner`` says who, as far as is known."""

    def __init__(self, owner: str) -> None:
        super().__init__(owner)
        self.owner = owner


class FileLock:
    """An exclusive lock on a file, held until :meth:`release` or the death of the process.

    A second holder in the same process is refused as well.

    Raises:
        Owned: somebody else holds it.
        OSError: the file can't be opened.
    """

    def __init__(self, path: Path) -> None:
        # Imported here: it is not there on every system, and all but locking works without.
        import fcntl

        self._descriptor: int | None = os.open(path, os.O_RDWR | os.O_CREAT, 0o644)
        try:
            fcntl.flock(self._descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError as error:
            owner = os.read(self._descriptor, 1024).decode("utf-8", "replace")
            self._close()
            raise Owned(_describe(owner)) from error
        os.ftruncate(self._descriptor, 0)
        program = Path(sys.argv[0] or sys.executable).name
        os.write(self._descriptor, f"{os.getpid()} ({program})".encode())

    def release(self) -> None:
        """Let others have it. Releasing again is harmless."""
        if self._descriptor is not None:
            import fcntl

            os.ftruncate(self._descriptor, 0)
            # Closing alone would leave the lock with a child process that was forked meanwhile.
            fcntl.flock(self._descriptor, fcntl.LOCK_UN)
            self._close()

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self.release()

    def _close(self) -> None:
        if self._descriptor is not None:
            os.close(self._descriptor)
            self._descriptor = None


def _describe(owner: str) -> str:
    if owner.partition(" ")[0] == str(os.getpid()):
        return f"this very process, {owner}"
    return f"process {owner}" if owner else "another process"
