"""Vectors and contents of packed files, unpacked once and read from where they lie.

An uncompressed ``.npz`` is mapped as it is. A compressed one and Parquet are unpacked in
small parts into a temporary file without a name, which the system takes away with the
process: memory stays small whatever the file's size, the disk holds it once more.
"""

from __future__ import annotations

import errno
import shutil
import struct
import tempfile
import zipfile
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import IO, Any

import numpy as np
from numpy.typing import NDArray

from crossfade.errors import OutputError

__all__ = ["map_npz_array", "temporary_file"]

_LOCAL_HEADER_BYTES = 30
_BYTES_AT_ONCE = 2**18
_NO_ROOM = (errno.ENOSPC, errno.EDQUOT, errno.EFBIG, errno.EROFS, errno.EACCES)


def map_npz_array(archive: Path, name: str) -> NDArray[Any]:
    """An array of an ``.npz`` file, mapped.

    Raises: what :mod:`zipfile` and NumPy raise on damaged files, and KeyError without it.
    """
    with zipfile.ZipFile(archive) as files:
        member = files.getinfo(f"{name}.npy")
        if member.compress_type == zipfile.ZIP_STORED:
            return _mapped(archive, _data_offset(archive, member))
        with temporary_file(archive) as (file, path):
            with files.open(member) as packed:
                shutil.copyfileobj(packed, file, _BYTES_AT_ONCE)
            file.flush()
            return _mapped(path, 0)


@contextmanager
def temporary_file(packed: Path) -> Iterator[tuple[IO[bytes], Path]]:
    """A file to unpack into; map it inside, it loses its name on the way out.

    Raises:
        OutputError: it can't be written, as on a full disk.
    """
    try:
        with tempfile.NamedTemporaryFile(prefix="crossfade-", delete=False) as file:
            path = Path(file.name)
            try:
                yield file, path
            finally:
                with suppress(OSError):
                    path.unlink()
    except OSError as error:
        if error.errno not in _NO_ROOM:
            raise
        raise OutputError(
            f"{packed} can't be unpacked into {tempfile.gettempdir()}: {error.strerror}; free "
            "space there, or set TMPDIR to another folder"
        ) from error


def _data_offset(archive: Path, member: zipfile.ZipInfo) -> int:
    # The directory at the end does not say how long the header before the data is.
    with archive.open("rb") as file:
        file.seek(member.header_offset)
        header = file.read(_LOCAL_HEADER_BYTES)
    name_bytes, extra_bytes = struct.unpack("<HH", header[26:30])
    return member.header_offset + _LOCAL_HEADER_BYTES + int(name_bytes) + int(extra_bytes)


def _mapped(path: Path, start: int) -> NDArray[Any]:
    with path.open("rb") as file:
        file.seek(start)
        version = np.lib.format.read_magic(file)
        read = np.lib.format.read_array_header_1_0
        shape, fortran, dtype = (
            read(file) if version == (1, 0) else np.lib.format.read_array_header_2_0(file)
        )
        offset = file.tell()
    if dtype.hasobject:
        raise ValueError("it holds pickled objects")
    if 0 in shape:
        return np.empty(shape, dtype)
    return np.memmap(path, dtype, "r", offset, shape, "F" if fortran else "C")
