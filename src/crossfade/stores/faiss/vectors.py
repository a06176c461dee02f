"""Vectors between the ledger and the index: little-endian float32 in a blob, rows in an array."""

from __future__ import annotations

import sqlite3
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any, TypeAlias

import numpy as np
import numpy.typing as npt

from crossfade.embeddings import FloatArray, Space

__all__ = [
    "Numbers",
    "StoredSpace",
    "VectorRows",
    "from_blob",
    "insert_vectors",
    "joined",
    "vector_rows",
]

Numbers: TypeAlias = npt.NDArray[np.int64]


@dataclass(frozen=True)
class StoredSpace:
    """A space, its number, and its approximate index if it has one: the kind and the file."""

    space: Space
    number: int
    kind: str | None
    file: str | None


@dataclass(frozen=True, eq=False)
class VectorRows:
    """Vectors of one space: whose, of which change, and ``(n, d)`` rows."""

    items: Numbers
    changes: Numbers
    rows: FloatArray


def insert_vectors(
    sql: sqlite3.Connection, stored: StoredSpace, held: Sequence[tuple[int, FloatArray]]
) -> VectorRows:
    """Write vectors of items that hold none of that space, within a transaction."""
    found = sql.execute("SELECT seq FROM sqlite_sequence WHERE name = 'vectors'").fetchone()
    first = (found[0] if found else 0) + 1
    changes = range(first, first + len(held))
    sql.executemany(
        "INSERT INTO vectors VALUES (?, ?, ?, ?)",
        [
            (change, stored.number, item, np.asarray(row, dtype="<f4").tobytes())
            for change, (item, row) in zip(changes, held, strict=True)
        ],
    )
    items = np.array([item for item, _ in held], dtype=np.int64)
    return VectorRows(items, np.array(changes, dtype=np.int64), np.stack([row for _, row in held]))


def vector_rows(found: Sequence[tuple[Any, ...]], dim: int) -> VectorRows:
    """Rows of item, change and blob, as read."""
    blobs = b"".join(blob for _, _, blob in found)
    rows = np.frombuffer(blobs, dtype="<f4").astype(np.float32).reshape(len(found), dim)
    items = np.array([item for item, _, _ in found], dtype=np.int64)
    return VectorRows(items, np.array([change for _, change, _ in found], dtype=np.int64), rows)


def joined(parts: Sequence[VectorRows], dim: int) -> VectorRows:
    """Several parts as one."""
    none = VectorRows(np.empty(0, np.int64), np.empty(0, np.int64), np.empty((0, dim), np.float32))
    parts = parts or [none]
    return VectorRows(
        np.concatenate([part.items for part in parts]),
        np.concatenate([part.changes for part in parts]),
        np.concatenate([part.rows for part in parts]),
    )


def from_blob(blob: bytes) -> FloatArray:
    """One vector, as read."""
    return np.frombuffer(blob, dtype="<f4").astype(np.float32)
