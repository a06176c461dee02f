"""A table that somebody else has made is used in place, and its user works on as before."""

import numpy as np
import pytest
from users_items import DIM, NEW, OLD, N, UsersItems, attach_new, read, some_unit_rows

from crossfade.embeddings import normalise
from crossfade.stores import Outcome, Store, open_store
from crossfade.stores.pgvector.attach import attach

# Used in place


def test_rows_are_items_and_columns_their_payload(items: UsersItems, attached: Store) -> None:
    assert attached.spaces() == {"old": OLD, "new": NEW}
    assert (attached.count(), attached.count(has="old"), attached.count(lacks="new")) == (N, N, N)
    item = read(attached, 3, "old", "new")
    assert item.payload == {"content": "text 2", "category": "even", "price": 0.5}
    assert np.allclose(item.vectors["old"], normalise(items.vectors[2:3])[0])
    assert [one.id for one in attached.scan(after=5, n=3)] == [6, 7, 8]


def test_attaching_copies_nothing_and_changes_no_row(items: UsersItems) -> None:
    where = "SELECT pg_relation_filenode('items'), max(xmin::text) FROM items"
    before = items.sql(where), items.sql("SELECT * FROM items ORDER BY id")
    with attach(items.uri, id="id", old_vector="embedding"):
        columns = "SELECT id, content, category, price, embedding FROM items ORDER BY id"
        assert (items.sql(where), items.sql(columns)) == before


def test_attaching_again_and_opening_without_columns_find_the_same(items: UsersItems) -> None:
    with attach(items.uri, id="id", old_vector="embedding", space=OLD) as first:
        picture = items.picture()
        with attach(items.uri, id="id", old_vector="embedding", space=OLD) as second:
            assert second.spaces() == first.spaces() == {"old": OLD}
        for uri in (items.uri, items.attached_uri):
            with open_store(uri) as third:
                assert third.spaces() == {"old": OLD} and third.count() == N
        assert items.picture() == picture


def test_the_old_system_answers_are_the_same_to_the_last_id(
    items: UsersItems, attached: Store
) -> None:
    for query in some_unit_rows(5, DIM, 2):
        (found,) = attached.search("old", query[None], 10)
        expected = items.closest(query, 10)
        assert [match.id for match in found] == [id for id, _ in expected]
        assert [match.score for match in found] == [score for _, score in expected]
        (near,) = attached.search("old", query[None], 10, exact=False)
        assert {match.id for match in near} == {id for id, _ in expected}


def test_equal_old_vectors_are_ties_in_the_order_of_ids(items: UsersItems, attached: Store) -> None:
    for _ in range(8):
        items.insert("the same", items.vectors[0])
    for k in range(1, 10):
        (found,) = attached.search("old", normalise(items.vectors[:1]), k)
        assert [match.id for match in found] == [1, *range(N + 1, N + k)]


def test_filters_read_the_users_columns(items: UsersItems, attached: Store) -> None:
    items.sql('ALTER TABLE items ADD COLUMN "odd ""name"" %s" boolean DEFAULT true')
    items.sql("""ALTER TABLE items ADD COLUMN meta jsonb DEFAULT '{"a": 1}'""")
    (query,) = some_unit_rows(1, DIM, 3)

    def matching(filter: dict[str, object]) -> int:
        return len(attached.search("old", query[None], 1000, filter=filter)[0])

    assert matching({"category": "even"}) == N // 2
    assert matching({"not": {"category": "even"}}) == N // 2
    assert matching({"price": {"gte": 1, "lt": 2}}) == 4
    assert matching({"price": 0.25}) == 1 and matching({"price": 1}) == 1
    assert matching({"price": "1"}) == 0
    assert matching({'odd "name" %s': True}) == N
    assert matching({"meta": 1}) == 0
    assert matching({"content": {"in": ["text 1", "text 2", "x'; DROP TABLE items"]}}) == 2
    assert matching({"embedding": "x"}) == matching({"id": 1}) == matching({"no": 1}) == 0
    assert matching({"content": "\0"}) == 0
    assert read(attached, 1).payload['odd "name" %s'] is True
    assert read(attached, 1).payload["meta"] == {"a": 1}


# The user's own SQL


def test_rows_that_the_user_inserts_are_items_to_be_backfilled(
    items: UsersItems, attached: Store
) -> None:
    id = items.insert("fresh")
    assert id == N + 1
    item = read(attached, id, "old", "new")
    assert item.payload["content"] == "fresh" and set(item.vectors) == {"old"}
    assert attach_new(attached, item) is Outcome.APPLIED
    items.sql("INSERT INTO items VALUES (1000, 'by position', NULL, 1, NULL)")
    assert set(read(attached, 1000, "old", "new").vectors) == set()


@pytest.mark.parametrize(
    "change",
    [
        "content = 'other'",
        "price = price + 1",
        "embedding = (SELECT embedding FROM items WHERE id = 7)",
        "category = NULL",
    ],
)
def test_a_users_change_sends_the_item_back_and_beats_an_older_write(
    items: UsersItems, attached: Store, change: str
) -> None:
    before = read(attached, 3)
    assert attach_new(attached, before) is Outcome.APPLIED
    items.sql(f"UPDATE items SET {change} WHERE id = 3")
    after = read(attached, 3, "new")
    assert after.version != before.version and not after.vectors
    assert attach_new(attached, before) is Outcome.STALE
    assert attach_new(attached, after) is Outcome.APPLIED


def test_an_update_that_changes_nothing_keeps_the_vectors(
    items: UsersItems, attached: Store
) -> None:
    assert attach_new(attached, read(attached, 3)) is Outcome.APPLIED
    before = read(attached, 3, "new")
    items.sql("UPDATE items SET content = content, price = price, embedding = embedding")
    after = read(attached, 3, "new")
    assert after.version == before.version and set(after.vectors) == {"new"}


def test_deleted_rows_stay_deleted_and_their_ids_come_back_as_new_items(
    items: UsersItems, attached: Store
) -> None:
    before = read(attached, 3)
    items.sql("DELETE FROM items WHERE id = 3")
    assert attach_new(attached, before) is Outcome.GONE
    items.sql("INSERT INTO items (id, content) VALUES (3, 'again')")
    assert attach_new(attached, before) is Outcome.STALE


def test_what_a_trigger_of_the_user_writes_counts_as_content(
    items: UsersItems, attached: Store
) -> None:
    items.sql(
        "CREATE FUNCTION shout() RETURNS trigger LANGUAGE plpgsql AS "
        "$$ BEGIN NEW.category := upper(NEW.category); RETURN NEW; END $$"
    )
    items.sql("CREATE TRIGGER yell BEFORE UPDATE ON items FOR EACH ROW EXECUTE FUNCTION shout()")
    before = read(attached, 3)
    items.sql("UPDATE items SET content = content WHERE id = 3")
    after = read(attached, 3)
    assert after.payload["category"] == "EVEN" and after.version != before.version


def test_columns_that_the_user_adds_or_drops_are_noticed(
    items: UsersItems, attached: Store
) -> None:
    items.sql("ALTER TABLE items ADD COLUMN shelf integer, DROP COLUMN category")
    before = read(attached, 3)
    assert before.payload == {"content": "text 2", "price": 0.5, "shelf": None}
    items.sql("UPDATE items SET shelf = 4 WHERE id = 3")
    after = read(attached, 3)
    assert after.payload["shelf"] == 4 and after.version != before.version
