"""Ids and filters in the language of LanceDB's queries, DataFusion's SQL.

That language has no bound values, so a literal here is made of harmless characters alone: ids are
written in hexadecimal, labels and names as :mod:`crossfade.stores.fields` quotes them, and floats
as Python prints them. :func:`literal` refuses anything else.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Mapping, Sequence

from crossfade.errors import InvalidInput
from crossfade.stores.base import Id
from crossfade.stores.fields import FilterTerms

__all__ = ["LanceTerms", "id_of", "key_of", "keys_among", "literal"]

_HARMLESS = re.compile(r"[A-Za-z0-9_.~%:=+-]*")
_OFFSET = 2**63
_OPERATORS = {"gt": ">", "gte": ">=", "lt": "<", "lte": "<="}


def key_of(id: Id) -> str:
    """An id as a text, in the same order: integers by value, then strings by code point."""
    return f"i{id + _OFFSET:020d}" if isinstance(id, int) else f"s{id.encode().hex()}"


def id_of(key: str) -> Id:
    """The id of a key."""
    return int(key[1:]) - _OFFSET if key[0] == "i" else bytes.fromhex(key[1:]).decode()


def keys_among(keys: Iterable[str]) -> str:
    """The condition that a row has one of these keys, of at least one."""
    return f"key IN ({', '.join(literal(key) for key in keys)})"


def literal(text: str) -> str:
    """A text between quotes.

    Raises:
        InvalidInput: it holds a character that could end it.
    """
    if not _HARMLESS.fullmatch(text):
        raise InvalidInput(f"{text!r} can't be part of a query")
    return f"'{text}'"


class LanceTerms(FilterTerms[str]):
    """The terms in DataFusion's language. None of them is ever NULL, so NOT means not."""

    def labelled(self, choices: Sequence[str]) -> str:
        tests = [f"coalesce(array_has(labels, {literal(choice)}), false)" for choice in choices]
        return self.some(tests) if tests else "false"

    def ranged(self, name: str, bounds: Mapping[str, float]) -> str:
        position = f"CAST(array_position(number_names, {literal(name)}) AS BIGINT)"
        value = f"array_element(number_values, {position})"
        tests = [f"{value} {_OPERATORS[key]} {bound!r}" for key, bound in bounds.items()]
        return self.every([f"coalesce({test}, false)" for test in tests])

    def every(self, parts: Sequence[str]) -> str:
        return f"({' AND '.join(parts)})" if parts else "true"

    def some(self, parts: Sequence[str]) -> str:
        return f"({' OR '.join(parts)})"

    def negated(self, part: str) -> str:
        return f"(NOT {part})"
