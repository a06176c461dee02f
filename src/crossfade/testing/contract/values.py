"""Awkward values that a store must keep apart: ids, payloads, filters, drafts."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np

from crossfade.embeddings import FloatArray, Space
from crossfade.errors import InvalidInput, SpaceMismatch
from crossfade.stores import Draft, Filter, Id

__all__ = [
    "AWKWARD_IDS",
    "AWKWARD_PAYLOAD",
    "BAD_DRAFTS",
    "BAD_FILTERS",
    "FILTERS",
    "NEW",
    "OLD",
    "PAYLOADS",
    "axis",
]

OLD, NEW = Space("old", 4), Space("new+rho:1f~@2024/ü", 3)
AWKWARD_IDS: list[Id] = [
    *(0, 1, 2, 10, -1, -5, 2**63 - 1, -(2**63)),
    *("", "0", "1", "-1", "a", "A", "a b", "é", "e\u0301", "日本語", "🙂", "\0", "x" * 500),
    "c4055fad-e000-5000-8000-000000000001",
]


def axis(which: int, space: Space = OLD) -> FloatArray:
    """A unit vector along an axis; negative numbers point the other way."""
    row = np.zeros(space.dim, dtype=np.float32)
    row[abs(which) % space.dim] = -1.0 if which < 0 else 1.0
    return row


AWKWARD_PAYLOAD: Mapping[str, Any] = {
    "text": "ü🙂\0",
    "long": "x" * 5000,
    "integer": 7,
    "float": 7.0,
    "tiny": 5e-324,
    "third": 1 / 3,
    "big": 2**63 - 1,
    "negative": -(2**63),
    "true": True,
    "false": False,
    "null": None,
    "list": [1, "a", None, [2.5]],
    "object": {"a.b": {"c": []}},
    "a.b[0]": 1,
    'q"\\uo%te': "ü",
    "": "empty key",
    "id": "mine",
    "version": -1,
}
PAYLOADS: Sequence[Mapping[str, Any]] = [
    {},
    {"color": "red"},
    {"color": "red", "price": 2, "flag": True},
    {"color": "blue", "price": 2.0, "flag": False},
    {"color": "Red", "price": 1, "flag": 1},
    {"color": 3, "price": 3, "flag": "true"},
    {"color": None, "price": "2"},
    {"color": ["red"], "tags": ["red", "blue"], "price": True},
    {"color": {"red": 1}, "price": [2]},
    {"price": 2**60},
    {"price": 2**60 + 1},
    {"price": float(2**60)},
    {"price": -1.5},
    {"a.b[0]": 1, 'q"\\uo%te': "ü", "": 1},
    {"a": {"b": [1]}},
]
FILTERS: Sequence[Filter] = [
    {},
    {"color": "red"},
    {"color": {"in": ["red", "blue", 3]}},
    {"color": {"in": []}},
    {"price": {"gte": 1, "lt": 3}},
    {"price": {"gt": 1.5}},
    {"price": {"lte": 2}},
    {"price": 2},
    {"price": 2.0},
    {"price": "2"},
    {"flag": True},
    {"flag": False},
    {"flag": 1},
    {"price": True},
    {"price": 2**60},
    {"price": 2**60 + 1},
    {"tags": "red"},
    {"nothing": "x"},
    {"a.b[0]": 1},
    {'q"\\uo%te': "ü"},
    {"": 1},
    {"color": "red", "price": {"lt": 3}},
    {"and": [{"color": "red"}, {"not": {"price": 2}}]},
    {"or": [{"color": "blue"}, {"price": 2}]},
    {"not": {"color": "red"}},
    {"not": {"nothing": 1}},
    {"not": {"or": [{"color": "red"}, {"flag": True}]}},
    {"or": [{"and": [{"color": "red"}]}, {"not": {"color": {"in": ["red"]}}}]},
]
BAD_FILTERS: Sequence[Filter] = [
    {"a": {"near": 1}},
    {"a": {}},
    {"or": []},
    {"a": None},
    {"a": 2.0**53},
    {"a": 2**63},
    {"a": {"lt": float("nan")}},
    {"a": {"in": 3}},
]
BAD_DRAFTS: Sequence[tuple[Draft, type[Exception]]] = [
    (Draft(2, {"unknown": axis(0)}), SpaceMismatch),
    (Draft(2, {OLD.name: axis(0, NEW)}), SpaceMismatch),
    (Draft(2, {OLD.name: 2 * axis(0)}), InvalidInput),
    (Draft(2, {OLD.name: np.full(4, np.nan, np.float32)}), InvalidInput),
    (Draft(1), InvalidInput),
    (Draft(2**63), InvalidInput),
    (Draft(2.5), InvalidInput),  # type: ignore[arg-type]
    (Draft(True), InvalidInput),
    (Draft("\ud800"), InvalidInput),
    (Draft(2, {}, {"set": {1}}), InvalidInput),
    (Draft(2, {}, {"nan": float("nan")}), InvalidInput),
    (Draft(2, {}, {"big": 2**63}), InvalidInput),
    (Draft(2, {}, {1: "key"}), InvalidInput),  # type: ignore[dict-item]
]
