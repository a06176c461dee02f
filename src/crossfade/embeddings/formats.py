"""Pairs on disk: ``.npz``, Parquet, or a folder of memory-mapped ``.npy`` files."""

from __future__ import annotations

import zipfile
from collections.abc import Mapping
from pathlib import Path
from typing import Any, Literal

import numpy as np
from numpy.typing import NDArray

from crossfade.durable import replace_file, replace_folder
from crossfade.embeddings.pairs import Pairs
from crossfade.errors import DataFileError, InvalidInput, MissingExtra

__all__ = ["read_pairs", "write_pairs"]

_REQUIRED = ("ids", "old", "new")
_OPTIONAL = ("labels",)


def read_pairs(path: Path) -> Pairs:
    """Read pairs by the path's form; see :meth:`Pairs.load`."""
    if not path.exists():
        raise DataFileError(f"{path} does not exist; wanted .npz, .parquet or a folder of .npy")
    if path.is_dir():
        return _pairs(_read_folder(path), path)
    if path.suffix == ".npz":
        return _pairs(_read_npz(path), path)
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
        with replace_folder(path, marker="ids.npy") as folder:
            for name, column in _columns(pairs).items():
                np.save(folder / f"{name}.npy", column)


def _columns(pairs: Pairs) -> dict[str, NDArray[Any]]:
    columns = {"ids": pairs.ids, "old": pairs.old, "new": pairs.new}
    return columns if pairs.labels is None else {**columns, "labels": pairs.labels}


def _pairs(columns: Mapping[str, Any], path: Path) -> Pairs:
    missing = [name for name in _REQUIRED if name not in columns]
    if missing:
        raise DataFileError(
            f"{path} lacks {', '.join(missing)}; it holds {', '.join(sorted(columns)) or 'nothing'}"
            " (wanted: ids, old, new, and optionally labels)"
        )
    try:
        return Pairs.of(
            columns["ids"], columns["old"], columns["new"], labels=columns.get("labels")
        )
    except InvalidInput as error:
        raise type(error)(f"{path}: {error}") from error


def _read_npz(path: Path) -> dict[str, Any]:
    try:
        with np.load(path, allow_pickle=False) as file:
            return {name: file[name] for name in (*_REQUIRED, *_OPTIONAL) if name in file.files}
    except (zipfile.BadZipFile, ValueError, EOFError, OSError, KeyError) as error:
        raise DataFileError(
            f"{path} can't be read ({error}); is it truncated, or are its arrays pickled objects?"
        ) from error


def _read_folder(path: Path) -> dict[str, Any]:
    columns: dict[str, Any] = {}
    for name in (*_REQUIRED, *_OPTIONAL):
        file = path / f"{name}.npy"
        if not file.exists():
            continue
        mapped: Literal["r"] | None = "r" if name in ("old", "new") else None
        try:
            columns[name] = np.load(file, mmap_mode=mapped, allow_pickle=False)
        except (ValueError, EOFError, OSError) as error:
            raise DataFileError(f"{file} can't be read ({error}); is it truncated?") from error
    return columns


def _read_parquet(path: Path) -> dict[str, Any]:
    arrow, parquet = _pyarrow()
    try:
        table = parquet.read_table(path)
    except (arrow.ArrowException, OSError) as error:
        raise DataFileError(f"{path} can't be read ({error}); is it truncated?") from error
    columns: dict[str, Any] = {}
    for name in (*_REQUIRED, *_OPTIONAL):
        if name in table.column_names:
            column = table.column(name).combine_chunks()
            columns[name] = (
                _matrix(column, f"{path}: column {name}")
                if name
                in (
                    "old",
                    "new",
                )
                else np.asarray(column.to_pylist())
            )
    return columns


def _matrix(column: Any, where: str) -> NDArray[Any]:
    if column.null_count:
        raise DataFileError(f"{where} holds {column.null_count} nulls; drop these rows")
    if len(column) == 0:
        return np.empty((0, getattr(column.type, "list_size", 1)), dtype=np.float32)
    flat = column.flatten().to_numpy(zero_copy_only=False)
    width, rest = divmod(len(flat), len(column))
    lengths = {len(row) for row in column[: min(len(column), 1000)]}
    if rest or lengths != {width}:
        raise DataFileError(f"{where} holds vectors of different widths; wanted one width")
    return np.asarray(flat).reshape(len(column), width)


def _write_parquet(pairs: Pairs, path: Path) -> None:
    arrow, parquet = _pyarrow()
    columns: dict[str, Any] = {"ids": arrow.array(pairs.ids.tolist())}
    for name, rows in (("old", pairs.old_rows()), ("new", pairs.new_rows())):
        columns[name] = arrow.FixedSizeListArray.from_arrays(rows.ravel(), rows.shape[1])
    if pairs.labels is not None:
        columns["labels"] = arrow.array(pairs.labels.tolist())
    with replace_file(path) as temporary:
        parquet.write_table(arrow.table(columns), temporary)


def _pyarrow() -> tuple[Any, Any]:
    try:
        import pyarrow
        import pyarrow.parquet
    except ImportError as error:
        raise MissingExtra("reading and writing Parquet", "parquet") from error
    return pyarrow, pyarrow.parquet
