"""Columns of Parquet files as arrays."""

from __future__ import annotations

from typing import Any

import numpy as np
from numpy.typing import NDArray

from crossfade.errors import DataFileError, MissingExtra

__all__ = ["matrix_column", "pyarrow_parquet", "vector_column"]


def vector_column(column: Any, where: str) -> NDArray[Any]:
    """A column with one value a row, ``(n,)``.

    Raises:
        DataFileError: it holds lists or the like, or nulls.
    """
    arrow, _ = pyarrow_parquet()
    _refuse_nulls(column, where)
    if arrow.types.is_nested(column.type):
        raise DataFileError(f"{where} holds {column.type}, wanted one value a row")
    if arrow.types.is_primitive(column.type):
        return np.asarray(column.to_numpy(zero_copy_only=False))
    return np.asarray(column.to_pylist())


def matrix_column(column: Any, where: str) -> NDArray[Any]:
    """A column of lists of one length, ``(n, d)``.

    Raises:
        DataFileError: it holds no lists, or of several lengths, or nulls.
    """
    arrow, _ = pyarrow_parquet()
    types = arrow.types
    _refuse_nulls(column, where)
    kinds = (types.is_list, types.is_large_list, types.is_fixed_size_list)
    if not any(is_kind(column.type) for is_kind in kinds):
        raise DataFileError(f"{where} holds {column.type}, wanted lists of numbers")
    if len(column) == 0:
        return np.empty((0, getattr(column.type, "list_size", 1)), dtype=np.float32)
    lengths = np.unique(column.value_lengths().to_numpy(zero_copy_only=False))
    if len(lengths) > 1:
        raise DataFileError(
            f"{where} holds vectors of {lengths.min()} to {lengths.max()} numbers; wanted one width"
        )
    flat = np.asarray(column.flatten().to_numpy(zero_copy_only=False))
    return flat.reshape(len(column), int(lengths[0]))


def pyarrow_parquet() -> tuple[Any, Any]:
    """The modules ``pyarrow`` and ``pyarrow.parquet``."""
    try:
        import pyarrow
        import pyarrow.parquet
    except ImportError as error:
        raise MissingExtra("reading and writing Parquet", "parquet") from error
    return pyarrow, pyarrow.parquet


def _refuse_nulls(column: Any, where: str) -> None:
    if column.null_count:
        raise DataFileError(f"{where} holds {column.null_count} nulls; drop these rows")
