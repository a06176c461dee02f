"""The border where arrays become embeddings: ``(n, d)``, float32, unit length."""

from __future__ import annotations

from typing import Any

import numpy as np
from numpy.typing import NDArray

from crossfade.errors import InvalidInput, SpaceMismatch

__all__ = ["FloatArray", "Ids", "as_ids", "normalise", "unit_rows", "valid_rows"]

FloatArray = NDArray[np.float32]
Ids = NDArray[Any]
"""One-dimensional array of int64 or of str."""

_CHUNK_ROWS = 16_384
_UNIT_TOLERANCE = 1e-6


def unit_rows(
    array: Any, *, dim: int | None = None, name: str = "vectors", max_rows: int | None = None
) -> FloatArray:
    """Validate embeddings and scale every row to unit length.

    Args:
        array: ``(n, d)`` numbers, or ``(d,)`` for a single vector.
        dim: the width wanted, if known.
        name: what to call the array in error messages.
        max_rows: refuse more rows than this.

    Returns:
        ``(n, d)`` float32 rows of length one.

    Raises:
        SpaceMismatch: the width is not ``dim``.
        InvalidInput: not a matrix of numbers, or NaN, infinite or zero rows.
    """
    rows = valid_rows(array, dim=dim, name=name)
    if max_rows is not None and len(rows) > max_rows:
        raise InvalidInput(f"{name} has {len(rows)} rows, at most {max_rows} are allowed")
    out = np.empty(rows.shape, dtype=np.float32)
    for start in range(0, len(rows), _CHUNK_ROWS):
        out[start : start + _CHUNK_ROWS] = normalise(rows[start : start + _CHUNK_ROWS])
    return out


def valid_rows(array: Any, *, dim: int | None = None, name: str = "vectors") -> NDArray[Any]:
    """Check ``(n, d)`` numbers chunk by chunk, without copying them.

    Memory-mapped arrays stay on disk. Raises as :func:`unit_rows` does.
    """
    rows: NDArray[Any] = np.asanyarray(array)
    if rows.ndim == 1 and rows.dtype != object:
        rows = rows[None, :]
    if rows.ndim != 2 or rows.dtype.kind not in "fiu":
        raise InvalidInput(
            f"{name} must be a matrix of numbers (n, d), got shape {rows.shape} of {rows.dtype}"
        )
    if rows.shape[1] == 0:
        raise InvalidInput(f"{name} has width 0, wanted at least 1")
    if dim is not None and rows.shape[1] != dim:
        raise SpaceMismatch(
            f"{name} has dimension {rows.shape[1]}, wanted {dim}; "
            "were they embedded with another model?"
        )
    for start in range(0, len(rows), _CHUNK_ROWS):
        _check_chunk(rows[start : start + _CHUNK_ROWS], start, name)
    return rows


def normalise(rows: Any) -> FloatArray:
    """Scale rows to unit length in float32; the rows must not be zero.

    The largest component is divided out first: float16 and very small or large float64
    rows neither overflow nor vanish in the squares. Float32 rows that have unit length
    already come back bit for bit, so saving and loading changes nothing.
    """
    given = np.asarray(rows)
    wide = given if given.dtype.kind == "f" else given.astype(np.float64)
    scaled = (wide / np.abs(wide).max(axis=1, keepdims=True)).astype(np.float32)
    out = np.asarray(scaled / np.linalg.norm(scaled, axis=1, keepdims=True), dtype=np.float32)
    if given.dtype == np.float32:
        unit = np.abs(np.linalg.norm(given, axis=1) - 1.0) < _UNIT_TOLERANCE
        out[unit] = given[unit]
    return out


def as_ids(array: Any, *, name: str = "ids", unique: bool = True) -> Ids:
    """Validate ids: one-dimensional, integers or strings, no repeats.

    Raises:
        InvalidInput: another shape or type, or (with ``unique``) an id twice.
    """
    ids = np.asarray(array)
    if ids.ndim != 1:
        raise InvalidInput(f"{name} must be one-dimensional, got shape {ids.shape}")
    if ids.dtype.kind in "iu":
        if ids.dtype.kind == "u" and len(ids) and int(ids.max()) > np.iinfo(np.int64).max:
            raise InvalidInput(f"{name} holds {ids.max()}, the largest integer id is 2^63-1")
        ids = ids.astype(np.int64)
    elif ids.dtype.kind == "O" and all(isinstance(value, str) for value in ids):
        ids = ids.astype(np.str_)
    elif ids.dtype.kind == "S":
        ids = np.char.decode(ids, "utf-8")
    elif ids.dtype.kind != "U" and len(ids):
        raise InvalidInput(f"{name} must be integers or strings, got {ids.dtype}")
    if unique:
        _check_unique(ids, name)
    return ids


def _check_unique(ids: Ids, name: str) -> None:
    values, counts = np.unique(ids, return_counts=True)
    if len(values) < len(ids):
        repeated = values[counts > 1]
        raise InvalidInput(
            f"{name} must be unique, got {len(repeated)} repeated, e.g. {repeated[0]!s}"
        )


def _check_chunk(chunk: NDArray[Any], start: int, name: str) -> None:
    finite = np.isfinite(chunk).all(axis=1)
    if not finite.all():
        row = start + int(np.argmin(finite))
        raise InvalidInput(
            f"{name} row {row} holds NaN or an infinite value ({_count(~finite)} such rows "
            "in this part); drop or re-embed these rows"
        )
    nonzero = (chunk != 0).any(axis=1)
    if not nonzero.all():
        row = start + int(np.argmin(nonzero))
        raise InvalidInput(
            f"{name} row {row} is the zero vector ({_count(~nonzero)} such rows in this part), "
            "which has no direction; drop or re-embed these rows"
        )


def _count(mask: NDArray[np.bool_]) -> int:
    return int(np.count_nonzero(mask))
