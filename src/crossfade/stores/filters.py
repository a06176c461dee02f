"""Payload filters: one small expression form, the same for every store.

    {"color": "red"}                                  equality
    {"color": {"in": ["red", "blue"]}}                one of
    {"price": {"gte": 10, "lt": 20}}                  range: gt, gte, lt, lte
    {"and": [...]}, {"or": [...]}, {"not": {...}}     combinations
    {"color": "red", "price": {"lt": 20}}             several fields: all must match

Fields are top-level payload keys. A missing field matches nothing but a ``not``, and so does
a field that holds null, a list or an object. Types are kept apart: ``True`` is not 1, ``"1"``
is not 1. Numbers compare as 64-bit floats, so 1 equals 1.0; integers from 2^53 on, which
floats would blur, equal only the very same integer.
"""

from __future__ import annotations

import math
from collections.abc import Mapping
from typing import Any

from crossfade.errors import InvalidInput

__all__ = ["Filter", "check_filter", "matches"]

Filter = Mapping[str, Any]
_RANGE = {"gt", "gte", "lt", "lte"}
EXACT_FLOATS = 2**53
"""Below it every integer is a 64-bit float."""


def check_filter(filter: Filter) -> None:
    """Raise InvalidInput unless ``filter`` is of the form above."""
    if not isinstance(filter, Mapping):
        raise InvalidInput(f"a filter is a mapping, got {type(filter).__name__}")
    for key, condition in filter.items():
        if key in ("and", "or"):
            if not isinstance(condition, list) or not condition:
                raise InvalidInput(f"filter {key!r} takes a non-empty list of filters")
            for part in condition:
                check_filter(part)
        elif key == "not":
            check_filter(condition)
        elif isinstance(condition, Mapping):
            _check_condition(key, condition)
        else:
            _check_value(key, condition)


def matches(filter: Filter, payload: Mapping[str, Any]) -> bool:
    """Whether a payload passes a checked filter; the meaning that every store must keep."""
    return all(_matches_one(key, condition, payload) for key, condition in filter.items())


def _check_condition(key: str, condition: Mapping[str, Any]) -> None:
    names = set(condition)
    if names == {"in"}:
        if not isinstance(condition["in"], list):
            raise InvalidInput(f"filter on {key!r}: 'in' takes a list")
        for choice in condition["in"]:
            _check_value(key, choice)
    elif not names or not names <= _RANGE:
        raise InvalidInput(
            f"filter on {key!r} has {sorted(names)}; wanted 'in', or of {sorted(_RANGE)}"
        )
    elif not all(_is_number(value) and math.isfinite(value) for value in condition.values()):
        raise InvalidInput(f"filter on {key!r}: ranges compare with finite numbers")


def _check_value(key: str, value: Any) -> None:
    if not isinstance(value, (str, int, float, bool)):
        raise InvalidInput(f"filter on {key!r} compares with {type(value).__name__}")
    if isinstance(value, float) and not abs(value) < EXACT_FLOATS:
        raise InvalidInput(
            f"filter on {key!r} asks for equality with {value}; "
            "a float that large is no exact value, use a range"
        )
    if isinstance(value, int) and not -(2**63) <= value < 2**63:
        raise InvalidInput(f"filter on {key!r} compares with {value}, beyond 64 bits")


def _is_number(value: Any) -> bool:
    return isinstance(value, (int, float)) and not isinstance(value, bool)


def _matches_one(key: str, condition: Any, payload: Mapping[str, Any]) -> bool:
    if key == "and":
        return all(matches(part, payload) for part in condition)
    if key == "or":
        return any(matches(part, payload) for part in condition)
    if key == "not":
        return not matches(condition, payload)
    if key not in payload:
        return False
    value = payload[key]
    if not isinstance(condition, Mapping):
        return _equal(value, condition)
    if "in" in condition:
        return any(_equal(value, choice) for choice in condition["in"])
    if not _is_number(value):
        return False
    return all(_compare(name, float(value), float(bound)) for name, bound in condition.items())


def _equal(value: Any, wanted: Any) -> bool:
    if not (_is_number(value) and _is_number(wanted)):
        return type(value) is type(wanted) and bool(value == wanted)
    if isinstance(wanted, int) and abs(wanted) >= EXACT_FLOATS:
        return isinstance(value, int) and value == wanted
    return float(value) == float(wanted)


def _compare(name: str, value: float, bound: float) -> bool:
    match name:
        case "gt":
            return value > bound
        case "gte":
            return value >= bound
        case "lt":
            return value < bound
        case _:
            return value <= bound
