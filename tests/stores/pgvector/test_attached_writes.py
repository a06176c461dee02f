"""What is written to an attached table goes into its user's columns."""

import pytest
from users_items import DIM, NEW, OLD, N, UsersItems, attach_new, read, some_unit_rows

from crossfade.errors import InvalidInput
from crossfade.stores import Draft, Outcome, Store, VectorWrite
from crossfade.stores.pgvector.attach import attach
from crossfade.testing import PostgresServer


def test_a_put_writes_the_users_columns(items: UsersItems, attached: Store) -> None:
    old, new = some_unit_rows(2, DIM, 4), some_unit_rows(2, NEW.dim, 5)
    attached.put(
        [
            Draft(2, {"old": old[0], "new": new[0]}, {"content": "a", "price": 1.5}),
            Draft(500, {"new": new[1]}, {"category": "c"}),
        ]
    )
    rows = items.sql("SELECT id, content, category, price FROM items WHERE id IN (2, 500)")
    assert sorted(rows) == [(2, "a", None, 1.5), (500, None, "c", None)]
    assert set(read(attached, 2, "old", "new").vectors) == {"old", "new"}
    assert set(read(attached, 500, "old", "new").vectors) == {"new"}
    assert attached.delete([500, 2**62, "2"]) == 1


def test_a_put_replaces_a_row_whole_and_takes_its_computed_vectors(attached: Store) -> None:
    before = read(attached, 3)
    attach_new(attached, before)
    attached.put([Draft(3, {"old": some_unit_rows(1, DIM, 6)[0]}, {"content": "new"})])
    after = read(attached, 3, "new")
    assert after.payload == {"content": "new", "category": None, "price": None}
    assert not after.vectors and after.version != before.version
    assert attach_new(attached, before) is Outcome.STALE


def test_rows_that_the_user_numbers_come_behind_ours(items: UsersItems, attached: Store) -> None:
    attached.put([Draft(N + 1), Draft(N + 5), Draft(-4)])
    assert items.insert("next") == N + 6
    attached.put([Draft(2)])
    assert items.insert("next") == N + 7


@pytest.mark.parametrize(
    ("draft", "words"),
    [
        (Draft(1, {}, {"colour": "red"}), r"\['colour'\].*'content', 'category', 'price'"),
        (Draft(1, {}, {"id": 1}), "no such payload"),
        (Draft(1, {}, {"embedding": [1]}), "no such payload"),
        (Draft(1, {}, {"crossfade_version": 1}), "no such payload"),
        (Draft("1"), "does not fit column 'id'"),
        (Draft(1, {}, {"content": "a\0b"}), "refuses the values"),
        (Draft(1, {}, {"price": "much"}), "refuses the values"),
    ],
)
def test_a_draft_that_the_table_has_no_place_for_is_refused(
    items: UsersItems, attached: Store, draft: Draft, words: str
) -> None:
    before = items.picture()
    with pytest.raises(InvalidInput, match=words):
        attached.put([Draft(2, {}, {"content": "good"}), draft])
    assert items.picture() == before


@pytest.mark.parametrize(
    ("key_type", "ids"),
    [
        ("text", ["", "5", "B", "a", "é", "日本語", "a%s", 'q"'][::-1]),
        ("varchar(40)", ["x", "y"]),
        ("integer", [-(2**31), -1, 0, 2**31 - 1]),
        ("smallint", [-5, 7]),
        ("uuid", ["00000000-0000-0000-0000-00000000000a", "c4055fad-e000-5000-8000-000000000001"]),
    ],
)
def test_ids_are_of_the_types_that_tables_have(
    postgres: PostgresServer, items: UsersItems, key_type: str, ids: list[int | str]
) -> None:
    items.sql(f'CREATE TABLE keyed ("the %key" {key_type} PRIMARY KEY, "v %" vector({DIM}))')
    (row,) = some_unit_rows(1, DIM, 0)
    uri = postgres.uri(table="keyed", schema=items.schema)
    with attach(uri, id="the %key", old_vector="v %", space=OLD) as store:
        store.put([Draft(id, {"old": row}) for id in ids])
        store.ensure_space(NEW)
        assert {attach_new(store, read(store, id)) for id in ids} == {Outcome.APPLIED}
        seen = [one.id for one in store.scan(n=2)]
        while batch := store.scan(after=seen[-1], n=2):
            seen += [one.id for one in batch]
        assert len(seen) == len(ids) and set(seen) == set(ids)
        (found,) = store.search("old", row[None], 100)
        assert [match.id for match in found] == sorted(ids)
        strangers = [2**40, "\0", "nobody", "C4055FAD-E000-5000-8000-000000000001"]
        assert store.get(strangers) == [None] * 4
        assert store.delete([*ids, *strangers]) == len(ids)
        assert store.set_vectors("new", [VectorWrite(2**40, 1, some_unit_rows(1, 5, 0)[0])]) == [
            Outcome.GONE
        ]
