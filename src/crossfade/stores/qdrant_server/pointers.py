"""Pointers as points of their own in the collection, without vectors and out of all searches.

A swap is one conditional write: it names the token of the last swap it has seen. Whether it won
is read afterwards from the tokens that a pointer carries, since a later swap may have followed.
"""

from __future__ import annotations

import secrets
import uuid
from typing import Any

from qdrant_client import models

from crossfade.stores.qdrant_server.client import Client

__all__ = ["Pointers", "not_a_pointer"]

_NAMESPACE = uuid.UUID("c4055fad-e000-5000-8000-000000000002")
_MARK = "pointer"
_KEPT_TOKENS = 50


class Pointers:
    """The named texts of a collection."""

    def __init__(self, client: Client) -> None:
        self._client = client

    def read(self, name: str) -> str | None:
        """A named text, or None."""
        value: str | None = self._read(name).get("value")
        return value

    def swap(self, name: str, expect: str | None, value: str | None) -> bool:
        """Compare and set a named text."""
        seen = self._read(name)
        if seen.get("value") != expect:
            return False
        token = secrets.token_hex(8)
        tokens = [token, *seen.get("tokens", [])][:_KEPT_TOKENS]
        # A pointer that is not there is inserted whatever the condition, and never deleted.
        condition = models.FieldCondition(
            key="token", match=models.MatchValue(value=seen.get("token", "none"))
        )
        payload = {_MARK: name, "value": value, "token": token, "tokens": tokens}
        self._client.upsert(
            [models.PointStruct(id=_point(name), vector={}, payload=payload)],
            models.Filter(must=[condition]),
        )
        return token in self._read(name).get("tokens", [])

    def _read(self, name: str) -> dict[str, Any]:
        records = self._client.retrieve([_point(name)], True)
        return dict(records[0].payload) if records else {}


def not_a_pointer() -> models.Filter:
    """The condition that a point is an item."""
    return models.Filter(must=[models.IsEmptyCondition(is_empty=models.PayloadField(key=_MARK))])


def _point(name: str) -> str:
    return str(uuid.uuid5(_NAMESPACE, name))
