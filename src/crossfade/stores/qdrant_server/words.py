"""Conditions in the words of a server's client."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from qdrant_client import models

from crossfade.stores.qdrant.conditions import Words

__all__ = ["ClientWords", "has_version"]


class ClientWords(Words):
    """The client's words."""

    def every(self, parts: Sequence[Any]) -> Any:
        return models.Filter(must=list(parts))

    def some(self, parts: Sequence[Any]) -> Any:
        return models.Filter(should=list(parts))

    def negated(self, part: Any) -> Any:
        return models.Filter(must_not=[part])

    def never(self) -> Any:
        return models.HasIdCondition(has_id=[])

    def is_value(self, path: str, value: str | int) -> Any:
        return models.FieldCondition(key=path, match=models.MatchValue(value=value))

    def is_within(self, path: str, bounds: Mapping[str, float]) -> Any:
        return models.FieldCondition(key=path, range=models.Range(**bounds))


def has_version(versions: Mapping[int | str, int]) -> models.Filter:
    """The points that still have the version given, by point id."""
    return models.Filter(
        should=[
            models.Filter(
                must=[
                    models.HasIdCondition(has_id=[point]),
                    models.FieldCondition(key="version", match=models.MatchValue(value=version)),
                ]
            )
            for point, version in versions.items()
        ]
    )
