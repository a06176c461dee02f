"""Files and folders that appear whole or not at all.

Temporary name in the same folder, fsync, replace, fsync the folder: a killed process or a
full disk leaves the previous version, never half of the next.
"""

from __future__ import annotations

import os
import shutil
import uuid
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from crossfade.errors import OutputError

__all__ = ["check_folder", "replace_file", "replace_folder"]


@contextmanager
def replace_file(path: Path) -> Iterator[Path]:
    """Yield a temporary path to write; on success it replaces ``path`` durably.

    Raises:
        OutputError: the file can't be written (read-only folder, full disk).
    """
    temporary = path.with_name(f".{path.name}.{uuid.uuid4().hex[:8]}.tmp")
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        yield temporary
        _fsync(temporary)
        temporary.replace(path)
        _fsync(path.parent)
    except OSError as error:
        raise _output_error(path, error) from error
    finally:
        temporary.unlink(missing_ok=True)


@contextmanager
def replace_folder(path: Path, *, marker: str) -> Iterator[Path]:
    """Yield a temporary folder to fill; on success it replaces the folder ``path``.

    Args:
        path: the folder to create or replace.
        marker: a file name that shows a folder to be one of ours. A non-empty folder
            without it is somebody else's and is never replaced.

    Raises:
        OutputError: ``path`` is somebody else's, or can't be written.
    """
    _refuse_foreign(path, marker)
    temporary = path.with_name(f".{path.name}.{uuid.uuid4().hex[:8]}.tmp")
    previous = path.with_name(f".{path.name}.{uuid.uuid4().hex[:8]}.old")
    try:
        temporary.mkdir(parents=True)
        yield temporary
        for file in sorted(temporary.rglob("*")):
            _fsync(file)
        _fsync(temporary)
        if path.exists():
            path.replace(previous)
        temporary.replace(path)
        _fsync(path.parent)
    except OSError as error:
        if previous.exists() and not path.exists():
            previous.replace(path)
        raise _output_error(path, error) from error
    finally:
        shutil.rmtree(temporary, ignore_errors=True)
        shutil.rmtree(previous, ignore_errors=True)


def check_folder(path: Path, *, marker: str) -> None:
    """Find out beforehand whether :func:`replace_folder` could write ``path``.

    Writes and removes an empty temporary folder beside it.

    Raises:
        OutputError: ``path`` is somebody else's, or its place can't be written.
    """
    _refuse_foreign(path, marker)
    trial = path.with_name(f".{path.name}.{uuid.uuid4().hex[:8]}.tmp")
    try:
        trial.mkdir(parents=True)
        trial.rmdir()
    except OSError as error:
        raise _output_error(path, error) from error


def _refuse_foreign(path: Path, marker: str) -> None:
    if path.is_file():
        raise OutputError(f"can't write {path}: it is a file; name a folder")
    if path.is_dir() and any(path.iterdir()) and not (path / marker).exists():
        raise OutputError(
            f"can't write {path}: the folder holds other files and no {marker}; "
            "name a new or empty folder"
        )


def _fsync(path: Path) -> None:
    descriptor = os.open(path, os.O_RDONLY)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)


def _output_error(path: Path, error: OSError) -> OutputError:
    if isinstance(error, OutputError):
        return error
    return OutputError(
        f"can't write {path}: {error.strerror or error}; "
        "nothing was changed. Check the folder's permissions and free space"
    )
