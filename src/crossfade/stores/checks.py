"""What every store checks before it writes or searches, so that all refuse alike."""

from __future__ import annotations

import math
from collections import Counter
from collections.abc import Iterable, Mapping, Sequence
from typing import Any

import numpy as np

from crossfade.embeddings import FloatArray, Space
from crossfade.embeddings.vectors import row_lengths, valid_rows
from crossfade.errors import InvalidInput, SpaceMismatch
from crossfade.stores.base import Draft, Id, VectorWrite

__all__ = [
    "check_drafts",
    "check_k",
    "check_payload",
    "check_queries",
    "check_space",
    "check_writes",
    "plain_id",
    "plain_ids",
]

_SMALLEST, _LARGEST = -(2**63), 2**63 - 1
_UNIT_TOLERANCE = 1e-3


def plain_id(id: Any) -> Id:
    """An id as a plain int or str; NumPy scalars are unwrapped.

    Raises:
        InvalidInput: another type, an integer beyond 64 bits, or a string that is not Unicode.
    """
    if type(id) is int and _SMALLEST <= id <= _LARGEST:  # nearly all, and there are many
        return id
    if isinstance(id, str):
        _check_text(id, "id")
        return str(id)
    if isinstance(id, (int, np.integer)) and not isinstance(id, bool):
        if not _SMALLEST <= int(id) <= _LARGEST:
            raise InvalidInput(f"id {id} is beyond 64 bits; use it as a string")
        return int(id)
    raise InvalidInput(f"id {id!r} is a {type(id).__name__}, wanted an integer or a string")


def plain_ids(ids: Iterable[Any], *, unique: bool = False) -> list[Id]:
    """Many ids; with ``unique`` none may come twice."""
    if isinstance(ids, (str, bytes)):
        raise InvalidInput(f"ids is a single {type(ids).__name__}, {ids!r}; give a list: [id]")
    plain = [plain_id(id) for id in ids]
    if unique and len(set(plain)) < len(plain):
        twice = next(id for id, times in Counter(plain).items() if times > 1)
        raise InvalidInput(f"id {twice!r} comes twice in one write; give each item once")
    return plain


def check_space(spaces: Mapping[str, Space], name: str) -> Space:
    """The space of that name.

    Raises:
        SpaceMismatch: the store has no such space.
    """
    if name not in spaces:
        raise SpaceMismatch(f"the store has no space {name!r}; it has {sorted(spaces)}")
    return spaces[name]


def check_drafts(drafts: Sequence[Draft], spaces: Mapping[str, Space]) -> list[Draft]:
    """Drafts with plain ids, float32 vectors and own copies of their payloads."""
    ids = plain_ids((draft.id for draft in drafts), unique=True)
    vectors: list[dict[str, FloatArray]] = [{} for _ in drafts]
    for name in {name for draft in drafts for name in draft.vectors}:
        space = check_space(spaces, name)
        holders = [row for row, draft in enumerate(drafts) if name in draft.vectors]
        rows = _unit([drafts[row].vectors[name] for row in holders], space)
        for row, vector in zip(holders, rows, strict=True):
            vectors[row][name] = vector
    return [
        Draft(id, held, check_payload(draft.payload))
        for id, held, draft in zip(ids, vectors, drafts, strict=True)
    ]


def check_writes(writes: Sequence[VectorWrite], space: Space) -> list[VectorWrite]:
    """Writes with plain ids and float32 vectors."""
    if not writes:
        return []
    rows = _unit([write.vector for write in writes], space)
    return [
        VectorWrite(plain_id(write.id), write.version, row)
        for write, row in zip(writes, rows, strict=True)
    ]


def check_queries(queries: Any, space: Space) -> FloatArray:
    """Queries ``(q, d)`` of a space, float32."""
    if not len(queries):
        return np.empty((0, space.dim), dtype=np.float32)
    return np.asarray(
        valid_rows(queries, dim=space.dim, name=f"{space.name} queries"), dtype=np.float32
    )


def check_k(k: Any) -> int:
    """The number of results wanted, at least 1."""
    if isinstance(k, bool) or not isinstance(k, (int, np.integer)) or k < 1:
        raise InvalidInput(f"k is {k!r}, wanted an integer of at least 1")
    return int(k)


def check_payload(payload: Mapping[str, Any]) -> dict[str, Any]:
    """A deep copy of a payload, which must be a JSON object.

    Raises:
        InvalidInput: a key that is no string, a value that JSON can't hold, or an integer
            beyond 64 bits.
    """
    if not isinstance(payload, Mapping):
        raise InvalidInput(f"a payload is a mapping, got {type(payload).__name__}")
    return {_key(key): _json(value, str(key)) for key, value in payload.items()}


def _json(value: Any, where: str) -> Any:
    if isinstance(value, np.generic):
        value = value.item()
    if isinstance(value, str):
        _check_text(value, f"payload field {where!r}")
        return str(value)
    if value is None or isinstance(value, bool):
        return value
    if isinstance(value, int) and _SMALLEST <= value <= _LARGEST:
        return int(value)
    if isinstance(value, float) and math.isfinite(value):
        return float(value)
    if isinstance(value, (list, tuple)):
        return [_json(part, where) for part in value]
    if isinstance(value, Mapping):
        return {_key(key): _json(part, f"{where}.{key}") for key, part in value.items()}
    raise InvalidInput(
        f"payload field {where!r} holds {value!r} ({type(value).__name__}); wanted JSON: text, "
        "finite numbers of 64 bits, true, false, null, lists and objects"
    )


def _key(key: Any) -> str:
    if not isinstance(key, str):
        raise InvalidInput(f"payload keys are strings, got {key!r}")
    _check_text(key, "payload key")
    return str(key)


def _check_text(text: str, what: str) -> None:
    try:
        text.encode("utf-8")
    except UnicodeEncodeError as error:
        raise InvalidInput(f"{what} {text!r} is not valid Unicode ({error.reason})") from error


def _unit(vectors: Sequence[Any], space: Space) -> FloatArray:
    wanted = (space.dim,)
    for vector in vectors:
        # Nearly all are arrays, and there are many.
        if getattr(vector, "shape", None) != wanted and np.shape(vector) != wanted:
            raise SpaceMismatch(
                f"a vector of shape {np.shape(vector)} was given for space {space.name!r}, "
                f"wanted ({space.dim},)"
            )
    rows = valid_rows(np.stack(vectors), dim=space.dim, name=f"{space.name} vectors")
    lengths = row_lengths(rows)
    if (np.abs(lengths - 1.0) > _UNIT_TOLERANCE).any():
        longest = lengths[np.argmax(np.abs(lengths - 1.0))]
        raise InvalidInput(
            f"a vector of space {space.name!r} has length {longest:.4g}, wanted 1; normalise it"
        )
    return np.asarray(rows, dtype=np.float32)
