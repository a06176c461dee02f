"""Conditions in the words of the embedded engine."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

import qdrant_edge as edge

from crossfade.stores.qdrant.conditions import Words

__all__ = ["EdgeWords"]


class EdgeWords(Words):
    """The engine's words."""

    def every(self, parts: Sequence[Any]) -> Any:
        return edge.Filter(must=list(parts))

    def some(self, parts: Sequence[Any]) -> Any:
        return edge.Filter(should=list(parts))

    def negated(self, part: Any) -> Any:
        return edge.Filter(must_not=[part])

    def never(self) -> Any:
        # An empty "should" lets everything pass; an empty set of ids nothing.
        return edge.HasIdCondition(set())

    def is_value(self, path: str, value: str | int) -> Any:
        return edge.FieldCondition(path, match=edge.MatchValue(value))

    def is_within(self, path: str, bounds: Mapping[str, float]) -> Any:
        return edge.FieldCondition(path, range=edge.RangeFloat(**bounds))
