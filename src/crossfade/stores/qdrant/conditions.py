"""Filters as conditions on points, in the engine's words or in those of a server's client."""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Mapping, Sequence
from typing import Any

from crossfade.stores.filters import EXACT_FLOATS, Filter
from crossfade.stores.qdrant.points import field_path

__all__ = ["Words", "condition"]


class Words(ABC):
    """How conditions are made."""

    @abstractmethod
    def every(self, parts: Sequence[Any]) -> Any:
        """All of the parts hold; always, without parts."""

    @abstractmethod
    def some(self, parts: Sequence[Any]) -> Any:
        """At least one of at least one part holds."""

    @abstractmethod
    def negated(self, part: Any) -> Any:
        """The part does not hold."""

    @abstractmethod
    def never(self) -> Any:
        """Holds for no point."""

    @abstractmethod
    def is_value(self, path: str, value: str | int) -> Any:
        """A text or an integer is this very one."""

    @abstractmethod
    def is_within(self, path: str, bounds: Mapping[str, float]) -> Any:
        """A number is within bounds: gt, gte, lt, lte."""


def condition(filter: Filter, words: Words) -> Any:
    """A checked filter in these words."""
    return words.every([_condition(key, value, words) for key, value in filter.items()])


def _condition(key: str, value: Any, words: Words) -> Any:
    if key == "and":
        return words.every([condition(part, words) for part in value])
    if key == "or":
        return words.some([condition(part, words) for part in value])
    if key == "not":
        return words.negated(condition(value, words))
    if not isinstance(value, Mapping):
        return _equal(key, value, words)
    if "in" in value:
        choices = [_equal(key, choice, words) for choice in value["in"]]
        return words.some(choices) if choices else words.never()
    bounds = {name: float(bound) for name, bound in value.items()}
    return words.is_within(field_path("number", key), bounds)


def _equal(key: str, value: str | float | bool, words: Words) -> Any:
    if isinstance(value, str):
        return words.is_value(field_path("text", key), value)
    if isinstance(value, bool):
        return words.is_value(field_path("flag", key), int(value))
    if abs(value) < EXACT_FLOATS:
        exactly = {"gte": float(value), "lte": float(value)}
        return words.is_within(field_path("number", key), exactly)
    return words.is_value(field_path("number", key), int(value))
