"""Filters as SQL. Whatever the user wrote is a parameter; the text of a condition is ours.

A condition may come out NULL, for a field that is missing; ``not`` takes that as false.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from typing import Any

from psycopg import sql

from crossfade.stores.filters import EXACT_FLOATS, Filter
from crossfade.stores.pgvector.layout import Layout, Value
from crossfade.stores.pgvector.session import Session

__all__ = ["condition"]

_SYMBOLS = {"gt": sql.SQL(">"), "gte": sql.SQL(">="), "lt": sql.SQL("<"), "lte": sql.SQL("<=")}
_AND, _OR = sql.SQL(" AND "), sql.SQL(" OR ")


def condition(filter: Filter, layout: Layout, session: Session) -> Value:
    """A checked filter as a condition on a row of the table."""
    parts = [_one(key, value, layout, session) for key, value in filter.items()]
    return _join(_AND, parts) if parts else (sql.SQL("TRUE"), [])


def _one(key: str, value: Any, layout: Layout, session: Session) -> Value:
    if key in ("and", "or"):
        parts = [condition(part, layout, session) for part in value]
        return _join(_AND if key == "and" else _OR, parts)
    if key == "not":
        inner, given = condition(value, layout, session)
        return sql.SQL("({} IS NOT TRUE)").format(inner), given
    field = layout.field(key, session)
    if isinstance(value, Mapping) and "in" not in value:
        return _join(_AND, [_bound(field, name, float(bound)) for name, bound in value.items()])
    choices = value["in"] if isinstance(value, Mapping) else [value]
    return _join(_OR, list(_among(field, choices, layout)))


def _among(field: Value, choices: Sequence[Any], layout: Layout) -> Iterable[Value]:
    """Conditions of which one holds if the field is equal to a choice: one for each type."""
    texts = [one for one in choices if isinstance(one, str)]
    if texts:
        storable = [text for text in map(layout.storable_text, texts) if text is not None]
        yield _on(
            field,
            "(CASE WHEN jsonb_typeof({0}) = 'string' THEN {0} #>> '{{}}' = ANY(%s::text[]) END)",
            storable,
        )
    numbers = [
        one for one in choices if isinstance(one, (int, float)) and not isinstance(one, bool)
    ]
    exact = [one for one in numbers if abs(one) >= EXACT_FLOATS]
    if exact:
        yield _on(
            field,
            "(CASE WHEN jsonb_typeof({0}) = 'number' THEN scale(({0})::numeric) = 0 "
            "AND ({0})::numeric = ANY(%s::numeric[]) END)",
            exact,
        )
    if len(exact) < len(numbers):
        yield _on(
            field,
            "(CASE WHEN jsonb_typeof({0}) = 'number' THEN ({0})::float8 = ANY(%s::float8[]) END)",
            [float(one) for one in numbers if abs(one) < EXACT_FLOATS],
        )
    flags = [one for one in choices if isinstance(one, bool)]
    if flags:
        yield _on(
            field,
            "(CASE WHEN jsonb_typeof({0}) = 'boolean' THEN ({0})::boolean = ANY(%s::boolean[]) "
            "END)",
            flags,
        )


def _bound(field: Value, name: str, bound: float) -> Value:
    return _on(
        field,
        "(CASE WHEN jsonb_typeof({0}) = 'number' THEN ({0})::float8 {1} %s::float8 END)",
        bound,
        _SYMBOLS[name],
    )


def _on(field: Value, form: str, given: Any, *more: sql.Composable) -> Value:
    """A form in which the field comes twice or more and one parameter last."""
    expression, of_field = field
    # The forms are the constants above.
    text = sql.SQL(form).format(expression, *more)
    return text, of_field * form.count("{0}") + [given]


def _join(word: sql.SQL, parts: Sequence[Value]) -> Value:
    if not parts:
        return sql.SQL("FALSE"), []
    text = sql.SQL("({})").format(word.join([part for part, _ in parts]))
    return text, [one for _, given in parts for one in given]
