"""PostgreSQL's binary forms of vectors and arrays, made by NumPy instead of row by row."""

from __future__ import annotations

import struct
from collections.abc import Iterable, Sequence
from typing import Any

import numpy as np
from psycopg import Connection, pq
from psycopg.abc import Buffer
from psycopg.adapt import Dumper

from crossfade.embeddings import FloatArray

__all__ = [
    "Raw",
    "array_of",
    "array_of_floats",
    "array_of_integers",
    "array_of_vectors",
    "read_vector",
    "register",
    "vector",
]

_NULL = b"\xff\xff\xff\xff"


class Raw:
    """A parameter in its type's binary form; a cast in the statement says which type."""

    __slots__ = ("data",)

    def __init__(self, data: bytes) -> None:
        self.data = data


class _RawDumper(Dumper):
    format = pq.Format.BINARY

    def dump(self, obj: Raw) -> Buffer:
        return obj.data


def register(connection: Connection[Any]) -> None:
    """Teach a connection to send :class:`Raw`."""
    connection.adapters.register_dumper(Raw, _RawDumper)


def vector(row: FloatArray) -> Raw:
    """One vector ``(d,)``."""
    return Raw(struct.pack(">hh", len(row), 0) + row.astype(">f4").tobytes())


def read_vector(data: bytes) -> FloatArray:
    """A vector ``(d,)`` as the server sends it."""
    return np.frombuffer(data, dtype=">f4", offset=4).astype(np.float32)


def array_of(elements: Sequence[bytes | None], oid: int) -> Raw:
    """An array of elements in binary form, of the type with that number."""
    body = (_NULL if one is None else struct.pack(">i", len(one)) + one for one in elements)
    return _array(body, len(elements), oid)


def array_of_integers(values: Sequence[int]) -> Raw:
    """An array of bigint."""
    return _array_of_eight_bytes(values, ">i8", 20)


def array_of_floats(values: Sequence[float]) -> Raw:
    """An array of double precision."""
    return _array_of_eight_bytes(values, ">f8", 701)


def array_of_vectors(rows: Sequence[FloatArray | None], dim: int, oid: int) -> Raw:
    """An array of vectors ``(dim,)``, None for NULL; ``oid`` is the number of their type."""
    held = [row for row in rows if row is not None]
    form = [("size", ">i4"), ("dim", ">i2"), ("unused", ">i2"), ("values", ">f4", (dim,))]
    packed = np.zeros(len(held), dtype=form)
    packed["size"], packed["dim"] = 4 + 4 * dim, dim
    if held:
        packed["values"] = np.stack(held)
    if len(held) == len(rows):
        return _array([packed.tobytes()], len(rows), oid)
    there = iter(packed)
    return _array((_NULL if row is None else next(there).tobytes() for row in rows), len(rows), oid)


def _array_of_eight_bytes(values: Sequence[float], form: str, oid: int) -> Raw:
    rows = np.empty(len(values), dtype=[("size", ">i4"), ("value", form)])
    rows["size"], rows["value"] = 8, values
    return _array([rows.tobytes()], len(values), oid)


def _array(body: Iterable[bytes], length: int, oid: int) -> Raw:
    if not length:
        return Raw(struct.pack(">iii", 0, 0, oid))
    # One dimension, NULLs allowed, indexed from 1.
    return Raw(struct.pack(">iiiii", 1, 1, oid, length, 1) + b"".join(body))
