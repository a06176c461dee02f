"""Payload fields as labels and numbers, for stores whose own filters mean something else.

A scalar field becomes a label, a text that two fields share if and only if they are equal in the
sense of :mod:`crossfade.stores.filters`; a number becomes a row of a field name and a 64-bit float
as well. So equality is "has this label", a range compares floats, and a store needs nothing of
its own notion of types, paths or lists.

Labels and names hold no characters but ASCII letters, digits and ``_.-~%:=``, whatever the user
wrote: there is nothing in them to inject.
"""

from __future__ import annotations

import hashlib
from abc import ABC, abstractmethod
from collections.abc import Mapping, Sequence
from typing import Any, Generic, TypeVar
from urllib.parse import quote

from crossfade.stores.filters import EXACT_FLOATS, Filter

__all__ = ["FilterTerms", "label", "labels", "numbers", "translate"]

_LONGEST = 64
"""A longer text is a label by its hash, so that documents in payloads are not stored twice."""

_Term = TypeVar("_Term")


class FilterTerms(ABC, Generic[_Term]):
    """What a filter is made of, in a store's own language."""

    @abstractmethod
    def labelled(self, choices: Sequence[str]) -> _Term:
        """Items with at least one of these labels; none if there are no choices."""

    @abstractmethod
    def ranged(self, name: str, bounds: Mapping[str, float]) -> _Term:
        """Items with a number of this name within bounds: gt, gte, lt, lte."""

    @abstractmethod
    def every(self, parts: Sequence[_Term]) -> _Term:
        """Items that pass all parts; all items if there are no parts."""

    @abstractmethod
    def some(self, parts: Sequence[_Term]) -> _Term:
        """Items that pass at least one part, of at least one."""

    @abstractmethod
    def negated(self, part: _Term) -> _Term:
        """Items that don't pass a part."""


def translate(filter: Filter, terms: FilterTerms[_Term]) -> _Term:
    """A checked filter in a store's own language."""
    return terms.every([_translate(key, condition, terms) for key, condition in filter.items()])


def labels(payload: Mapping[str, Any]) -> list[str]:
    """The labels of a payload, at most one a field."""
    found = (label(key, value) for key, value in payload.items())
    return [text for text in found if text is not None]


def numbers(payload: Mapping[str, Any]) -> dict[str, float]:
    """The numbers of a payload, by quoted name."""
    return {
        _quoted(key): float(value)
        for key, value in payload.items()
        if isinstance(value, (int, float)) and not isinstance(value, bool)
    }


def label(key: str, value: Any) -> str | None:
    """The label of a field; None where no equality can hold."""
    if isinstance(value, bool):
        return f"flag:{_quoted(key)}={int(value)}"
    if isinstance(value, str):
        return f"text:{_quoted(key)}={_short(value)}"
    if isinstance(value, int) and abs(value) >= EXACT_FLOATS:
        return f"integer:{_quoted(key)}={value}"
    if isinstance(value, (int, float)) and abs(value) < EXACT_FLOATS:
        # Adding zero makes -0.0 the 0.0 that it equals.
        return f"number:{_quoted(key)}={float(value) + 0.0!r}"
    return None


def _translate(key: str, condition: Any, terms: FilterTerms[_Term]) -> _Term:
    if key == "and":
        return terms.every([translate(part, terms) for part in condition])
    if key == "or":
        return terms.some([translate(part, terms) for part in condition])
    if key == "not":
        return terms.negated(translate(condition, terms))
    if not isinstance(condition, Mapping):
        return terms.labelled(_labels(key, [condition]))
    if "in" in condition:
        return terms.labelled(_labels(key, condition["in"]))
    return terms.ranged(_quoted(key), {name: float(bound) for name, bound in condition.items()})


def _labels(key: str, values: Sequence[Any]) -> list[str]:
    return [text for value in values if (text := label(key, value)) is not None]


def _quoted(text: str) -> str:
    return quote(text, safe="")


def _short(text: str) -> str:
    if len(text) <= _LONGEST:
        return _quoted(text)
    # No quoted text has two percent signs in a row, so a hash meets nothing but the same hash.
    return "%%" + hashlib.blake2b(text.encode(), digest_size=20).hexdigest()
