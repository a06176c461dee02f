"""What PostgreSQL would change, it gets in another form."""

import json
from typing import Any

from hypothesis import given
from hypothesis import strategies as st

from crossfade.stores import Id, id_order
from crossfade.stores.pgvector.text import (
    dump_payload,
    escape,
    id_of,
    key_of,
    load_payloads,
    unescape,
)

ids = st.integers(-(2**63), 2**63 - 1) | st.text()
awkward = st.text(st.sampled_from("\0\x100a"))
values: st.SearchStrategy[Any] = st.recursive(
    st.none()
    | st.booleans()
    | st.integers(-(2**63), 2**63 - 1)
    | st.floats(allow_nan=False, allow_infinity=False)
    | awkward,
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(awkward, inner, max_size=3),
    max_leaves=5,
)


@given(st.lists(ids, max_size=6))
def test_keys_sort_as_ids_do(some: list[Id]) -> None:
    assert [id_of(key) for key in sorted(map(key_of, some))] == sorted(some, key=id_order)


@given(awkward, awkward)
def test_escaped_text_has_no_nul_and_stays_apart(one: str, other: str) -> None:
    assert "\0" not in escape(one) and unescape(escape(one)) == one
    assert (escape(one) == escape(other)) == (one == other)


@given(st.dictionaries(awkward, values, max_size=3))
def test_payloads_come_back_without_exponents_or_nul(payload: dict[str, Any]) -> None:
    text = dump_payload(payload)
    assert "\\u0000" not in text
    assert repr(load_payloads([text, "{}"])) == repr([payload, {}])
    assert json.loads(text) is not None
