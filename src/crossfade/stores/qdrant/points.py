"""Items as Qdrant's points, in its embedded engine and in a server alike.

A point's id is the item's where that is an integer from 0 on, else a UUID made of it. Its
payload is ours alone: the id, the version, and the user's fields sorted by type, because the
engine would let ``True`` match 1, and would look into lists and dotted names.

    {"id": -5, "version": 7, "text": {..}, "number": {..}, "flag": {.. 0 or 1}, "other": "JSON"}
"""

from __future__ import annotations

import json
import uuid
from collections.abc import Iterable, Mapping
from functools import lru_cache
from typing import Any, TypeAlias
from urllib.parse import quote, unquote

from crossfade.errors import StoreError
from crossfade.stores.base import Id

__all__ = [
    "KEY_FIELDS",
    "PointId",
    "field_path",
    "point_id",
    "point_payload",
    "record_key",
    "refuse_collisions",
    "user_payload",
]

PointId: TypeAlias = int | uuid.UUID | str
KEY_FIELDS = ["id", "version"]
"""All that a conditional write or a search result needs of a payload."""

_NAMESPACE = uuid.UUID("c4055fad-e000-5000-8000-000000000001")


def point_id(id: Id) -> PointId:
    """The engine's id for an item's id."""
    if isinstance(id, int) and id >= 0:
        return id
    kind = "integer" if isinstance(id, int) else "text"
    return uuid.uuid5(_NAMESPACE, f"{kind}:{id}")


def record_key(record: Any) -> tuple[Id, int, Mapping[str, Any]]:
    """The item's id and version of a record, and all of the stored payload that was read.

    A record makes its payload anew each time it is asked, so it is asked once.

    Raises:
        StoreError: the point is not one of ours.
    """
    payload: Mapping[str, Any] = record.payload or {}
    if "version" not in payload:
        raise StoreError(
            f"point {record.id} was not written by this store; the folder holds foreign data"
        )
    id: Id = payload["id"] if "id" in payload else record.id  # noqa: SIM401 - so is the id
    return id, int(payload["version"]), payload


def refuse_collisions(ids: Iterable[Id], present: Iterable[Any]) -> None:
    """Raise StoreError if a record is of another item whose id has the same hash."""
    wanted = {str(point_id(id)): id for id in ids}
    for record in present:
        if (stored := record_key(record)[0]) != wanted[str(record.id)]:
            raise StoreError(
                f"ids {wanted[str(record.id)]!r} and {stored!r} have the same hash; rename one"
            )


def point_payload(id: Id, version: int, payload: Mapping[str, Any]) -> dict[str, Any]:
    """What is stored with the point of an item."""
    stored: dict[str, Any] = {"version": version}
    if point_id(id) != id:
        stored["id"] = id
    other: dict[str, Any] = {}
    for key, value in payload.items():
        kind = _kind(value)
        if kind is None:
            other[key] = value
        else:
            typed = int(value) if kind == "flag" else value
            stored.setdefault(kind, {})[quote(key, safe="")] = typed
    if other:
        stored["other"] = json.dumps(other)
    return stored


def user_payload(stored: Mapping[str, Any]) -> dict[str, Any]:
    """The user's payload back from what is stored."""
    payload: dict[str, Any] = {}
    for kind in ("text", "number"):
        for key, value in stored.get(kind, {}).items():
            payload[_field(key)] = value
    for key, value in stored.get("flag", {}).items():
        payload[_field(key)] = bool(value)
    if "other" in stored:
        payload |= json.loads(stored["other"])
    return payload


@lru_cache(maxsize=4096)
def _field(quoted: str) -> str:
    return unquote(quoted)


def _kind(value: Any) -> str | None:
    if isinstance(value, bool):
        return "flag"
    if isinstance(value, (int, float)):
        return "number"
    return "text" if isinstance(value, str) else None


def field_path(kind: str, key: str) -> str:
    """Where a field of a kind (``text``, ``number``, ``flag``) is in what is stored."""
    return f'{kind}."{quote(key, safe="")}"'
