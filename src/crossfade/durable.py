"""Files and folders that appear whole or not at all.

Temporary name in the same folder, fsync, replace, fsync the folder: a killed process or a
full disk leaves the previous version, never half of the next.
"""

from __future__ import annotations

import ctypes
import errno
import os
import shutil
import uuid
from collections.abc import Collection, Iterator
from contextlib import contextmanager, suppress
from pathlib import Path

from crossfade.errors import CrossfadeError, OutputError

__all__ = ["check_folder", "replace_file", "replace_folder"]

# Linux's renameat2: paths relative to the working directory; swap them in one step.
_AT_FDCWD, _RENAME_EXCHANGE = -100, 2


@contextmanager
def replace_file(path: Path) -> Iterator[Path]:
    """Yield a temporary path to write; on success it replaces ``path`` durably.

    A link is followed: what it points to is replaced.

    Raises:
        OutputError: the file can't be written (read-only folder, full disk).
    """
    target = Path(os.path.realpath(path))
    temporary = _beside(target)
    with _failing_as_output_error(path), _parents_of(target):
        try:
            yield temporary
            _fsync(temporary)
            temporary.replace(target)
            _fsync(target.parent)
        finally:
            with suppress(OSError):
                temporary.unlink()


@contextmanager
def replace_folder(
    path: Path, *, marker: str, others: Collection[str] | None = None
) -> Iterator[Path]:
    """Yield a temporary folder to fill; on success it replaces the folder ``path``.

    A link is followed. Replacing a folder that holds files is one step where the system can
    swap two folders (Linux); elsewhere a kill between its two renames leaves the previous
    version under its temporary name.

    Args:
        path: the folder to create or replace.
        marker: a file name that shows a folder to be one of ours. A non-empty folder
            without it is somebody else's and is never replaced.
        others: the other names that a folder of ours may hold; one that holds anything else
            is not replaced either, since that would be lost. None does not look.

    Raises:
        OutputError: ``path`` is somebody else's, or can't be written.
    """
    target = Path(os.path.realpath(path))
    temporary = _beside(target)
    with _failing_as_output_error(path):
        _refuse_foreign(path, marker, others)
        with _parents_of(target):
            try:
                temporary.mkdir()
                yield temporary
                for file in sorted(temporary.rglob("*")):
                    _fsync(file)
                _fsync(temporary)
                _put_in_place(temporary, target)
                _fsync(target.parent)
            finally:
                shutil.rmtree(temporary, ignore_errors=True)


def check_folder(path: Path, *, marker: str, others: Collection[str] | None = None) -> None:
    """Find out beforehand whether :func:`replace_folder` could write ``path``.

    Makes and removes an empty temporary folder beside it.

    Raises:
        OutputError: ``path`` is somebody else's, or its place can't be written.
    """
    target = Path(os.path.realpath(path))
    trial = _beside(target)
    with _failing_as_output_error(path):
        _refuse_foreign(path, marker, others)
        missing = _missing_parents(target)
        with _parents_of(target):
            trial.mkdir()
            trial.rmdir()
        for folder in missing:
            folder.rmdir()


def _refuse_foreign(path: Path, marker: str, others: Collection[str] | None) -> None:
    # As it is written: a path through a folder that is not there yet may lead back to a file.
    target = Path(os.path.realpath(path))
    if target.is_file():
        raise OutputError(f"can't write {path}: it is a file; name a folder")
    if target in (Path.cwd(), *Path.cwd().parents):
        raise OutputError(
            f"can't write {path}: it is the working directory or holds it, and would be "
            "replaced as a whole; name a new folder"
        )
    held = {entry.name for entry in target.iterdir()} if target.is_dir() else set()
    if held and marker not in held:
        raise OutputError(
            f"can't write {path}: the folder holds other files and no {marker}; "
            "name a new or empty folder"
        )
    foreign = held - {marker, *others} if others is not None else set()
    if foreign:
        raise OutputError(
            f"can't write {path}: replacing the folder would delete {min(foreign)!r}, which is "
            "not part of it; name a new folder, or move that file"
        )


def _put_in_place(temporary: Path, target: Path) -> None:
    """Rename onto the target; what was there goes away, or is left under the temporary name."""
    if not target.exists():
        temporary.replace(target)
    elif not _swap(temporary, target):
        _replace_in_two_steps(temporary, target)


def _replace_in_two_steps(temporary: Path, target: Path) -> None:
    previous = _beside(target)
    target.replace(previous)
    try:
        temporary.replace(target)
    except OSError:
        previous.replace(target)
        raise
    shutil.rmtree(previous, ignore_errors=True)


def _swap(first: Path, second: Path) -> bool:
    """Exchange two paths in one step; False where the system can't."""
    exchange = getattr(ctypes.CDLL(None), "renameat2", None)
    if exchange is None:
        return False
    paths = os.fsencode(first), os.fsencode(second)
    done: int = exchange(_AT_FDCWD, paths[0], _AT_FDCWD, paths[1], _RENAME_EXCHANGE)
    return done == 0


@contextmanager
def _failing_as_output_error(path: Path) -> Iterator[None]:
    try:
        yield
    except CrossfadeError:
        raise
    except OSError as error:
        raise OutputError(
            f"can't write {path}: {error.strerror or error}; "
            "nothing was changed. Check the folder's permissions and free space"
        ) from error


@contextmanager
def _parents_of(path: Path) -> Iterator[None]:
    """Make the folders above ``path``; take them away again if what follows fails."""
    missing = _missing_parents(path)
    try:
        _make_folder(path.parent)
        yield
    except BaseException:
        for folder in missing:
            with suppress(OSError):
                folder.rmdir()
        raise


def _make_folder(folder: Path) -> None:
    try:
        folder.mkdir(parents=True, exist_ok=True)
    except FileExistsError as error:  # says the system of a file in the folder's place
        raise NotADirectoryError(errno.ENOTDIR, os.strerror(errno.ENOTDIR)) from error


def _missing_parents(path: Path) -> list[Path]:
    """Folders above ``path`` that don't exist, the deepest first."""
    return [folder for folder in path.parents if not folder.exists()]


def _beside(path: Path) -> Path:
    if not path.name:
        raise OutputError(f"can't write {path}: name a file or folder in it")
    return path.with_name(f".{path.name}.{uuid.uuid4().hex[:8]}.tmp")


def _fsync(path: Path) -> None:
    descriptor = os.open(path, os.O_RDONLY)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)
