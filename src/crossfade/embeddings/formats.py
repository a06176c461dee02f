"""Pairs on disk: ``.npz``, Parquet, or a folder of memory-mapped ``.npy`` files."""

from __future__ import annotations

import codecs
import struct
import zipfile
import zlib
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from crossfade.durable import replace_file, replace_folder
from crossfade.embeddings.arrow import matrix_column, pyarrow_parquet, vector_column
from crossfade.embeddings.pairs import Pairs
from crossfade.embeddings.vectors import Ids, as_ids
from crossfade.errors import DataFileError, InvalidInput

__all__ = ["UNREADABLE", "read_npy", "read_npz", "read_pairs", "write_pairs"]

_REQUIRED = ("ids", "old", "new")
_SAME_IDS = ("ids_old", "ids_new", "old_ids", "new_ids")
"""Ids of each side that some exports hold as well; they have to say the same as ``ids``."""
_KNOWN = (*_REQUIRED, "labels", *_SAME_IDS)
_MARKER = "ids.npy"
_LOOKED_AT = 256
"""Bytes of a file that is no archive."""
UNREADABLE = (
    zipfile.BadZipFile,
    zlib.error,
    struct.error,
    ValueError,
    EOFError,
    OSError,
    KeyError,
    MemoryError,
    NotImplementedError,
    RuntimeError,
)
"""What NumPy and zipfile raise on files that are cut off, damaged, or not theirs."""


def read_pairs(path: Path) -> Pairs:
    """Read pairs by the path's form; see :meth:`Pairs.load`."""
    if not path.exists():
        raise DataFileError(f"{path} does not exist; wanted .npz, .parquet or a folder of .npy")
    if path.is_dir():
        return _pairs(_read_folder(path), path)
    if path.suffix == ".npz":
        return _pairs(read_npz(path, _KNOWN), path)
    if path.suffix == ".parquet":
        return _pairs(_read_parquet(path), path)
    raise DataFileError(f"{path}: unknown form {path.suffix!r}; wanted .npz, .parquet or a folder")


def write_pairs(pairs: Pairs, path: Path) -> None:
    """Write pairs by the path's form; see :meth:`Pairs.save`."""
    if path.suffix == ".npz":
        with replace_file(path) as temporary, temporary.open("wb") as file:
            np.savez(file, allow_pickle=False, **_columns(pairs))
    elif path.suffix == ".parquet":
        _write_parquet(pairs, path)
    elif path.suffix:
        raise InvalidInput(f"{path}: unknown form; wanted .npz, .parquet or a folder's name")
    else:
        others = [f"{name}.npy" for name in _KNOWN]
        with replace_folder(path, marker=_MARKER, others=others) as folder:
            for name, column in _columns(pairs).items():
                np.save(folder / f"{name}.npy", column, allow_pickle=False)


def _columns(pairs: Pairs) -> dict[str, NDArray[Any]]:
    columns = {"ids": pairs.ids, "old": pairs.old, "new": pairs.new}
    return columns if pairs.labels is None else {**columns, "labels": pairs.labels}


def _pairs(columns: Mapping[str, Any], path: Path) -> Pairs:
    missing = [name for name in _REQUIRED if name not in columns]
    if missing:
        held = _names_in(path) if path.suffix == ".npz" else sorted(columns)
        raise DataFileError(
            f"{path} lacks {', '.join(missing)}; it holds {', '.join(held) or 'nothing'}"
            " (wanted: ids, old, new, and optionally labels)" + _if_a_log(columns)
        )
    try:
        pairs = Pairs.of(
            columns["ids"], columns["old"], columns["new"], labels=columns.get("labels")
        )
        for name in _SAME_IDS:
            if name in columns:
                _require_same_ids(pairs.ids, as_ids(columns[name], name=name), name)
    except InvalidInput as error:
        raise type(error)(f"{path}: {error}") from error
    return pairs


def _if_a_log(columns: Mapping[str, Any]) -> str:
    if "new" not in columns or {"ids", "labels"} & columns.keys():
        return ""
    return (
        ". It looks like a log of queries, which `fit` takes as --queries and `assess` as --log; "
        "what is searched, or asked in an evaluation, has ids and both embeddings"
    )


def _require_same_ids(ids: Ids, other: Ids, name: str) -> None:
    if np.array_equal(ids, other):
        return
    wanted = "old and new must be of the same items in the same order; align them by id first"
    if len(ids) != len(other):
        raise InvalidInput(f"{name} has {len(other)} ids, ids has {len(ids)}; {wanted}")
    row = int(np.argmax(ids != other))
    raise InvalidInput(f"{name} row {row} is {other[row]}, ids says {ids[row]}; {wanted}")


def read_npz(path: Path, names: Sequence[str] | None = None) -> dict[str, NDArray[Any]]:
    """The arrays of these names, as far as the file has them; without names, all of them.

    Raises:
        DataFileError: it can't be read.
    """
    try:
        if not zipfile.is_zipfile(path):
            raise DataFileError(f"{path} can't be read: {_what_it_is(path)}")
        # Opened here: np.load leaves a damaged file open.
        with path.open("rb") as raw, np.load(raw, allow_pickle=False) as file:
            wanted = file.files if names is None else names
            return {name: file[name] for name in wanted if name in file.files}
    except DataFileError:
        raise
    except UNREADABLE as error:
        raise DataFileError(
            f"{path} can't be read ({error}); is it truncated, or are its arrays pickled objects?"
        ) from error


def _what_it_is(path: Path) -> str:
    """In words, of what is no whole archive; zipfile and NumPy guess at pickles."""
    try:
        with path.open("rb") as file:
            start = file.read(_LOOKED_AT)
    except OSError as error:
        return f"{error.strerror}; wanted an .npz archive"
    if start[:2] == b"PK"[: len(start)]:
        return "it is only the start of an .npz archive; was it cut off?"
    wanted = "wanted embeddings, in an .npz archive of arrays as numpy.savez writes it"
    if start.startswith(b"\x93NUMPY"):
        return f"it is a single .npy array, {wanted}"
    return f"it is {'text' if _is_text(start) else 'something else'}, {wanted}"


def _is_text(start: bytes) -> bool:
    try:
        # The last character may be cut in two.
        text = codecs.getincrementaldecoder("utf-8")().decode(start)
    except UnicodeDecodeError:
        return False
    return all(sign.isprintable() or sign.isspace() for sign in text)


def _names_in(path: Path) -> list[str]:
    with zipfile.ZipFile(path) as archive:
        return sorted(name.removesuffix(".npy") for name in archive.namelist())


def _read_folder(path: Path) -> dict[str, Any]:
    columns: dict[str, Any] = {}
    for name in _KNOWN:
        file = path / f"{name}.npy"
        if file.exists():
            columns[name] = read_npy(file, mapped=name in ("old", "new"))
    return columns


def read_npy(file: Path, *, mapped: bool) -> NDArray[Any]:
    """Read a ``.npy`` file, or map it.

    Raises:
        DataFileError: it is truncated, or none.
    """
    try:
        array: NDArray[Any] = np.load(file, mmap_mode="r" if mapped else None, allow_pickle=False)
    except UNREADABLE as error:
        raise DataFileError(
            f"{file} can't be read ({error}); is it truncated, or does it hold pickled objects?"
        ) from error
    return array


def _read_parquet(path: Path) -> dict[str, Any]:
    arrow, parquet = pyarrow_parquet()
    try:
        with parquet.ParquetFile(path) as file:
            names = [name for name in _KNOWN if name in file.schema_arrow.names]
            table = file.read(columns=names)
        return {name: _array(table, name, path) for name in names}
    except DataFileError:
        raise
    except (arrow.ArrowException, OSError, ValueError) as error:
        raise DataFileError(f"{path} can't be read ({error}); is it truncated?") from error


def _array(table: Any, name: str, path: Path) -> NDArray[Any]:
    column, where = table.column(name).combine_chunks(), f"{path}: column {name}"
    as_array = matrix_column if name in ("old", "new") else vector_column
    return as_array(column, where)


def _write_parquet(pairs: Pairs, path: Path) -> None:
    arrow, parquet = pyarrow_parquet()
    columns: dict[str, Any] = {"ids": arrow.array(pairs.ids)}
    for name, rows in (("old", pairs.old_rows()), ("new", pairs.new_rows())):
        columns[name] = arrow.FixedSizeListArray.from_arrays(rows.ravel(), rows.shape[1])
    if pairs.labels is not None:
        columns["labels"] = arrow.array(pairs.labels)
    with replace_file(path) as temporary:
        parquet.write_table(arrow.table(columns), temporary)
