"""Filters as clauses over the tables of the ledger. Every value is bound, none is pasted."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from crossfade.stores.fields import FilterTerms

__all__ = ["Clause", "SqlTerms"]

_OPERATORS = {"gt": ">", "gte": ">=", "lt": "<", "lte": "<="}


@dataclass(frozen=True)
class Clause:
    """A condition on ``items.number`` and the values of its question marks."""

    text: str
    values: tuple[Any, ...] = ()


class SqlTerms(FilterTerms[Clause]):
    """The terms in SQLite's language."""

    def labelled(self, choices: Sequence[str]) -> Clause:
        parts = [
            Clause("number IN (SELECT item FROM labels WHERE label = ?)", (choice,))
            for choice in choices
        ]
        return self.some(parts) if parts else Clause("0")

    def ranged(self, name: str, bounds: Mapping[str, float]) -> Clause:
        tests = [f"value {_OPERATORS[bound]} ?" for bound in bounds]
        text = f"number IN (SELECT item FROM numbers WHERE name = ? AND {' AND '.join(tests)})"
        return Clause(text, (name, *bounds.values()))

    def every(self, parts: Sequence[Clause]) -> Clause:
        return _joined(" AND ", parts) if parts else Clause("1")

    def some(self, parts: Sequence[Clause]) -> Clause:
        return _joined(" OR ", parts)

    def negated(self, part: Clause) -> Clause:
        return Clause(f"NOT {part.text}", part.values)


def _joined(word: str, parts: Sequence[Clause]) -> Clause:
    text = f"({word.join(part.text for part in parts)})"
    return Clause(text, tuple(value for part in parts for value in part.values))
