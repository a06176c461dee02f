"""The border where arrays become embeddings: ``(n, d)``, float32, unit length."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from typing import Any

import numpy as np
from numpy.typing import NDArray

from crossfade.errors import InvalidInput, SpaceMismatch

__all__ = [
    "FloatArray",
    "Ids",
    "as_ids",
    "normalise",
    "plain_array",
    "row_lengths",
    "unit_rows",
    "usable_rows",
    "valid_rows",
]

FloatArray = NDArray[np.float32]
Ids = NDArray[Any]
"""One-dimensional array of int64 or of str."""

_CHUNK_VALUES = 2**22
"""Numbers checked or scaled at once: 16 MB of float32, whatever the width."""
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
    for part in _parts(rows):
        out[part] = normalise(rows[part])
    return out


def valid_rows(array: Any, *, dim: int | None = None, name: str = "vectors") -> NDArray[Any]:
    """Check ``(n, d)`` numbers chunk by chunk, without copying them.

    Memory-mapped arrays stay on disk. Raises as :func:`unit_rows` does.
    """
    rows = array if isinstance(array, np.memmap) else plain_array(array, name)
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
    for part in _parts(rows):
        _check_chunk(np.asarray(rows[part]), part.start, name)
    return rows


def usable_rows(rows: NDArray[Any]) -> NDArray[np.bool_]:
    """Which rows of ``(n, d)`` have a direction: finite, and not all zero; ``(n,)``."""
    if rows.dtype.kind == "f":
        # One pass for nearly all arrays there are: squares may overflow or vanish, but a sum of
        # them that is finite and not zero comes of no other rows.
        lengths = row_lengths(rows)
        usable = np.isfinite(lengths) & (lengths > 0)
        if usable.all():
            return np.asarray(usable)
    return np.asarray(np.isfinite(rows).all(axis=1) & (rows != 0).any(axis=1))


def row_lengths(rows: NDArray[Any]) -> NDArray[Any]:
    """The length of each row ``(n,)``, in the rows' own precision: infinite or 0 beyond it."""
    with np.errstate(over="ignore", under="ignore", invalid="ignore"):
        return np.asarray(np.sqrt(np.einsum("ij,ij->i", rows, rows)))


def normalise(rows: Any) -> FloatArray:
    """Scale rows to unit length in float32; the rows must not be zero.

    The largest component is divided out first: float16 and very small or large float64
    rows neither overflow nor vanish in the squares. Float32 rows that have unit length
    already come back bit for bit, so saving and loading changes nothing.
    """
    # Row after row in memory: each row's sum is then rounded alike in every batch.
    given = np.ascontiguousarray(rows)
    wide = given.astype(np.result_type(given.dtype, np.float32), copy=False)
    if wide.dtype != np.float32:
        return _scaled(wide)
    unit = np.abs(row_lengths(wide) - 1.0) < _UNIT_TOLERANCE
    out = np.array(wide, dtype=np.float32)
    if not unit.all():
        out[~unit] = _scaled(wide[~unit])
    return out


def _scaled(wide: NDArray[Any]) -> FloatArray:
    scaled = (wide / np.abs(wide).max(axis=1, keepdims=True)).astype(np.float32)
    return np.asarray(scaled / np.linalg.norm(scaled, axis=1, keepdims=True), dtype=np.float32)


def as_ids(array: Any, *, name: str = "ids", unique: bool = True) -> Ids:
    """Validate ids: one-dimensional, integers or strings, no repeats.

    Raises:
        InvalidInput: another shape or type, or (with ``unique``) an id twice.
    """
    ids = plain_array(array, name)
    if ids.ndim != 1:
        raise InvalidInput(f"{name} must be one-dimensional, got shape {ids.shape}")
    ids = _integers_or_text(ids, name)
    if ids.dtype.kind == "U" and isinstance(array, (list, tuple)):
        _refuse_mixed(array, name)
    if unique:
        _check_unique(ids, name)
    return ids


def plain_array(value: Any, name: str) -> NDArray[Any]:
    """A plain array, in this machine's byte order; InvalidInput for ragged lists."""
    try:
        array = np.asarray(value)
    except ValueError as error:
        raise InvalidInput(f"{name} is no array: {error}") from error
    if array.dtype.kind == "T":
        return array.astype(object)
    return array if array.dtype.isnative else array.astype(array.dtype.newbyteorder("="))


def _integers_or_text(ids: Ids, name: str) -> Ids:
    if ids.dtype.kind in "iu":
        if ids.dtype.kind == "u" and len(ids) and int(ids.max()) > np.iinfo(np.int64).max:
            raise InvalidInput(f"{name} holds {ids.max()}, the largest integer id is 2^63-1")
        return ids.astype(np.int64)
    if ids.dtype.kind == "U" or (
        ids.dtype.kind == "O" and all(isinstance(value, str) for value in ids)
    ):
        return ids.astype(np.str_)
    if ids.dtype.kind == "S":
        try:
            return np.char.decode(ids, "utf-8")
        except UnicodeDecodeError as error:
            raise InvalidInput(f"{name} are bytes that are not UTF-8 text: {error}") from error
    if len(ids) == 0:
        return ids.astype(np.int64)
    raise InvalidInput(f"{name} must be integers or strings, got {ids.dtype}")


def _refuse_mixed(values: Sequence[Any], name: str) -> None:
    # NumPy has made text of the numbers by now; 1 and "1" are two ids.
    others = [value for value in values if not isinstance(value, (str, bytes))]
    if others:
        raise InvalidInput(f"{name} mixes text and other types, e.g. {others[0]!r}; use one type")


def _check_unique(ids: Ids, name: str) -> None:
    values, counts = np.unique(ids, return_counts=True)
    if len(values) < len(ids):
        repeated = values[counts > 1]
        raise InvalidInput(
            f"{name} must be unique, got {len(repeated)} repeated, e.g. {repeated[0]!s}"
        )


def _check_chunk(chunk: NDArray[Any], start: int, name: str) -> None:
    if usable_rows(chunk).all():
        return
    finite = np.isfinite(chunk).all(axis=1)
    if not finite.all():
        row = start + int(np.argmin(finite))
        raise InvalidInput(
            f"{name} row {row} holds NaN or an infinite value ({_count(~finite)} such rows "
            "in this part); drop or re-embed these rows"
        )
    nonzero = (chunk != 0).any(axis=1)
    row = start + int(np.argmin(nonzero))
    raise InvalidInput(
        f"{name} row {row} is the zero vector ({_count(~nonzero)} such rows in this part), "
        "which has no direction; drop or re-embed these rows"
    )


def _parts(rows: NDArray[Any]) -> Iterator[slice]:
    step = max(1, _CHUNK_VALUES // rows.shape[1])
    for start in range(0, len(rows), step):
        yield slice(start, start + step)


def _count(mask: NDArray[np.bool_]) -> int:
    return int(np.count_nonzero(mask))
