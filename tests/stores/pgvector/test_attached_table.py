"""A table that somebody else has made is used in place, and left as it was found."""

from collections.abc import Iterator, Sequence

import numpy as np
import pytest
from users_items import DIM, N, UsersItems, some_unit_rows

from crossfade.backfill import Backfill
from crossfade.embeddings import FloatArray, Space, normalise
from crossfade.errors import InvalidInput, SpaceMismatch, StoreError
from crossfade.gallery import Gallery, open_gallery
from crossfade.stores import Draft, Item, Outcome, Store, VectorWrite, open_store
from crossfade.stores.pgvector.attach import attach, detach
from crossfade.testing import PostgresServer, make_upgrade

OLD, NEW = Space("old", DIM), Space("new", 5)


@pytest.fixture
def store(items: UsersItems) -> Iterator[Store]:
    with attach(items.uri, id="id", old_vector="embedding", space=OLD) as store:
        store.ensure_space(NEW)
        yield store


def read(store: Store, id: int | str, *vectors: str) -> Item:
    (item,) = store.get([id], vectors=vectors)
    assert item is not None
    return item


def attach_new(store: Store, item: Item) -> Outcome:
    (outcome,) = store.set_vectors(
        "new", [VectorWrite(item.id, item.version, some_unit_rows(1, NEW.dim, 1)[0])]
    )
    return outcome


# Used in place


def test_rows_are_items_and_columns_their_payload(items: UsersItems, store: Store) -> None:
    assert store.spaces() == {"old": OLD, "new": NEW}
    assert (store.count(), store.count(has="old"), store.count(lacks="new")) == (N, N, N)
    item = read(store, 3, "old", "new")
    assert item.payload == {"content": "text 2", "category": "even", "price": 0.5}
    assert np.allclose(item.vectors["old"], normalise(items.vectors[2:3])[0])
    assert [one.id for one in store.scan(after=5, n=3)] == [6, 7, 8]


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
    items: UsersItems, store: Store
) -> None:
    for query in some_unit_rows(5, DIM, 2):
        (found,) = store.search("old", query[None], 10)
        expected = items.closest(query, 10)
        assert [match.id for match in found] == [id for id, _ in expected]
        assert [match.score for match in found] == [score for _, score in expected]
        (near,) = store.search("old", query[None], 10, exact=False)
        assert {match.id for match in near} == {id for id, _ in expected}


def test_equal_old_vectors_are_ties_in_the_order_of_ids(items: UsersItems, store: Store) -> None:
    for _ in range(8):
        items.insert("the same", items.vectors[0])
    for k in range(1, 10):
        (found,) = store.search("old", normalise(items.vectors[:1]), k)
        assert [match.id for match in found] == [1, *range(N + 1, N + k)]


def test_filters_read_the_users_columns(items: UsersItems, store: Store) -> None:
    items.sql('ALTER TABLE items ADD COLUMN "odd ""name"" %s" boolean DEFAULT true')
    items.sql("""ALTER TABLE items ADD COLUMN meta jsonb DEFAULT '{"a": 1}'""")
    (query,) = some_unit_rows(1, DIM, 3)

    def matching(filter: dict[str, object]) -> int:
        return len(store.search("old", query[None], 1000, filter=filter)[0])

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
    assert read(store, 1).payload['odd "name" %s'] is True
    assert read(store, 1).payload["meta"] == {"a": 1}


# The user's own SQL


def test_rows_that_the_user_inserts_are_items_to_be_backfilled(
    items: UsersItems, store: Store
) -> None:
    id = items.insert("fresh")
    assert id == N + 1
    item = read(store, id, "old", "new")
    assert item.payload["content"] == "fresh" and set(item.vectors) == {"old"}
    assert attach_new(store, item) is Outcome.APPLIED
    items.sql("INSERT INTO items VALUES (1000, 'by position', NULL, 1, NULL)")
    assert set(read(store, 1000, "old", "new").vectors) == set()


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
    items: UsersItems, store: Store, change: str
) -> None:
    before = read(store, 3)
    assert attach_new(store, before) is Outcome.APPLIED
    items.sql(f"UPDATE items SET {change} WHERE id = 3")
    after = read(store, 3, "new")
    assert after.version != before.version and not after.vectors
    assert attach_new(store, before) is Outcome.STALE
    assert attach_new(store, after) is Outcome.APPLIED


def test_an_update_that_changes_nothing_keeps_the_vectors(items: UsersItems, store: Store) -> None:
    assert attach_new(store, read(store, 3)) is Outcome.APPLIED
    before = read(store, 3, "new")
    items.sql("UPDATE items SET content = content, price = price, embedding = embedding")
    after = read(store, 3, "new")
    assert after.version == before.version and set(after.vectors) == {"new"}


def test_deleted_rows_stay_deleted_and_their_ids_come_back_as_new_items(
    items: UsersItems, store: Store
) -> None:
    before = read(store, 3)
    items.sql("DELETE FROM items WHERE id = 3")
    assert attach_new(store, before) is Outcome.GONE
    items.sql("INSERT INTO items (id, content) VALUES (3, 'again')")
    assert attach_new(store, before) is Outcome.STALE


def test_what_a_trigger_of_the_user_writes_counts_as_content(
    items: UsersItems, store: Store
) -> None:
    items.sql(
        "CREATE FUNCTION shout() RETURNS trigger LANGUAGE plpgsql AS "
        "$$ BEGIN NEW.category := upper(NEW.category); RETURN NEW; END $$"
    )
    items.sql("CREATE TRIGGER yell BEFORE UPDATE ON items FOR EACH ROW EXECUTE FUNCTION shout()")
    before = read(store, 3)
    items.sql("UPDATE items SET content = content WHERE id = 3")
    after = read(store, 3)
    assert after.payload["category"] == "EVEN" and after.version != before.version


def test_columns_that_the_user_adds_or_drops_are_noticed(items: UsersItems, store: Store) -> None:
    items.sql("ALTER TABLE items ADD COLUMN shelf integer, DROP COLUMN category")
    before = read(store, 3)
    assert before.payload == {"content": "text 2", "price": 0.5, "shelf": None}
    items.sql("UPDATE items SET shelf = 4 WHERE id = 3")
    after = read(store, 3)
    assert after.payload["shelf"] == 4 and after.version != before.version


# Our writes


def test_a_put_writes_the_users_columns(items: UsersItems, store: Store) -> None:
    old, new = some_unit_rows(2, DIM, 4), some_unit_rows(2, NEW.dim, 5)
    store.put(
        [
            Draft(2, {"old": old[0], "new": new[0]}, {"content": "a", "price": 1.5}),
            Draft(500, {"new": new[1]}, {"category": "c"}),
        ]
    )
    rows = items.sql("SELECT id, content, category, price FROM items WHERE id IN (2, 500)")
    assert sorted(rows) == [(2, "a", None, 1.5), (500, None, "c", None)]
    assert set(read(store, 2, "old", "new").vectors) == {"old", "new"}
    assert set(read(store, 500, "old", "new").vectors) == {"new"}
    assert store.delete([500, 2**62, "2"]) == 1


def test_a_put_replaces_a_row_whole_and_takes_its_computed_vectors(store: Store) -> None:
    before = read(store, 3)
    attach_new(store, before)
    store.put([Draft(3, {"old": some_unit_rows(1, DIM, 6)[0]}, {"content": "new"})])
    after = read(store, 3, "new")
    assert after.payload == {"content": "new", "category": None, "price": None}
    assert not after.vectors and after.version != before.version
    assert attach_new(store, before) is Outcome.STALE


def test_rows_that_the_user_numbers_come_behind_ours(items: UsersItems, store: Store) -> None:
    store.put([Draft(N + 1), Draft(N + 5), Draft(-4)])
    assert items.insert("next") == N + 6
    store.put([Draft(2)])
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
    items: UsersItems, store: Store, draft: Draft, words: str
) -> None:
    before = items.picture()
    with pytest.raises(InvalidInput, match=words):
        store.put([Draft(2, {}, {"content": "good"}), draft])
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


# Given back


def test_a_table_is_left_as_it_was_found(items: UsersItems) -> None:
    before = items.picture()
    with attach(items.uri, id="id", old_vector="embedding", space=OLD) as store:
        store.ensure_space(NEW)
        store.build_index("old", lacks="new")
        store.build_index("new")
        store.swap_pointer("p", None, "x")
        attach_new(store, read(store, 3))
        store.drop_space("old")
    assert items.picture() != before
    detach(items.uri)
    assert items.picture() == before
    with pytest.raises(InvalidInput, match="nothing was attached"):
        detach(items.uri)
    with attach(items.uri, id="id", old_vector="embedding") as again:
        assert again.count(has="embedding") == N
    detach(again := attach(items.uri, id="id", old_vector="embedding"))
    assert items.picture() == before
    with pytest.raises(StoreError, match="closed"):
        again.count()


def test_other_collections_of_the_schema_stay(items: UsersItems, postgres: PostgresServer) -> None:
    with open_store(postgres.uri(table="ours", schema=items.schema)) as ours:
        ours.put([Draft(1)])
        before = items.picture()
        detach(attach(items.uri, id="id", old_vector="embedding"))
        assert items.picture() == before and ours.count() == 1
        with pytest.raises(InvalidInput, match="Crossfade's own"):
            detach(postgres.uri(table="ours", schema=items.schema))
    with pytest.raises(InvalidInput, match="only those are attached"):
        detach(open_store("memory://"))


# Refused


@pytest.mark.parametrize(
    ("prepare", "id", "old", "words"),
    [
        ("DROP TABLE items", "id", "embedding", "no table 'items'"),
        ("SELECT 1", "key", "embedding", "no column 'key'.*'content'"),
        ("SELECT 1", "id", "vector", "no column 'vector'"),
        ("SELECT 1", "id", "content", "of type text, wanted pgvector's vector"),
        ("SELECT 1", "price", "embedding", "of type numeric, wanted one of"),
        ("SELECT 1", "content", "embedding", "no key"),
        ("CREATE UNIQUE INDEX ON items (content)", "content", "embedding", "no key"),
        ("ALTER TABLE items ADD COLUMN crossfade_x int", "id", "embedding", "rename them"),
        (
            f"UPDATE items SET embedding = '{[0] * DIM}' WHERE id = 9",
            "id",
            "embedding",
            "id 9 .*zero vector",
        ),
        (
            "ALTER TABLE items RENAME TO t; CREATE VIEW items AS SELECT * FROM t",
            "id",
            "embedding",
            "no plain table",
        ),
        (
            "DROP INDEX items_embedding_idx; ALTER TABLE items ALTER COLUMN embedding TYPE vector; "
            "UPDATE items SET embedding = '[1,2]' WHERE id = 9",
            "id",
            "embedding",
            "2 to 12 dimensions",
        ),
    ],
)
def test_a_table_that_does_not_fit_is_refused_and_unchanged(
    items: UsersItems, prepare: str, id: str, old: str, words: str
) -> None:
    items.sql(prepare)
    relations = (
        items.sql("SELECT count(*) FROM pg_class"),
        items.sql("SELECT count(*) FROM pg_proc"),
    )
    with pytest.raises(InvalidInput, match=words):
        attach(items.uri, id=id, old_vector=old)
    after = items.sql("SELECT count(*) FROM pg_class"), items.sql("SELECT count(*) FROM pg_proc")
    assert after == relations


def test_a_column_without_a_width_gets_it_from_its_vectors(items: UsersItems) -> None:
    items.sql("DROP INDEX items_embedding_idx")
    items.sql("ALTER TABLE items ALTER COLUMN embedding TYPE vector")
    with attach(items.uri, id="id", old_vector="embedding") as store:
        assert store.spaces() == {"embedding": Space("embedding", DIM)}


def test_a_space_of_another_width_is_refused(items: UsersItems) -> None:
    before = items.picture()
    with pytest.raises(SpaceMismatch):
        attach(items.uri, id="id", old_vector="embedding", space=Space("old", DIM + 1))
    assert items.picture() == before


def test_an_attached_table_is_not_attached_otherwise(items: UsersItems) -> None:
    items.sql(f"ALTER TABLE items ADD COLUMN other vector({DIM})")
    attach(items.uri, id="id", old_vector="embedding", space=OLD).close()
    with pytest.raises(StoreError, match="detach it first"):
        attach(items.uri, id="id", old_vector="other")
    with pytest.raises(StoreError, match="space 'old'"):
        attach(items.uri, id="id", old_vector="embedding", space=Space("model-b", DIM))


def test_whoever_does_not_own_the_table_is_told_so(
    items: UsersItems, postgres: PostgresServer
) -> None:
    items.sql("CREATE ROLE reader LOGIN PASSWORD 'reader'")
    items.sql(f"GRANT ALL ON SCHEMA {items.schema} TO reader")
    items.sql("GRANT ALL ON items TO reader")
    before = items.picture()
    server, _, rest = items.uri.partition("@")
    with pytest.raises(StoreError, match="must be owner of table items"):
        attach(f"postgresql://reader:reader@{rest}", id="id", old_vector="embedding")
    assert "reader" not in server and items.picture() == before


# A whole upgrade


def test_a_table_is_upgraded_while_its_user_works_on_it(items: UsersItems) -> None:
    upgrade = make_upgrade(dim_old=DIM, dim_new=20, seed=3)
    queries = some_unit_rows(4, DIM, 7)
    before = [items.closest(query, 10) for query in queries]

    def encode(batch: Sequence[Item]) -> FloatArray:
        seeds = [len(str(one.payload["content"])) for one in batch]
        return np.stack([some_unit_rows(1, 20, seed)[0] for seed in seeds])

    def old_answers(gallery: Gallery) -> list[list[tuple[object, float]]]:
        found = gallery.search(None, 10, query_old=queries, mode="old")
        return [[(hit.id, hit.score) for hit in hits] for hits in found]

    with attach(items.uri, id="id", old_vector="embedding", space=upgrade.source) as store:
        gallery = open_gallery(store, upgrade)
        assert old_answers(gallery) == before
        job = Backfill(gallery, encoder=encode, batch_size=16)
        job.run()
        assert gallery.coverage == 1.0 and old_answers(gallery) == before
        id = items.insert("inserted during the job", -items.vectors[4])
        items.sql("UPDATE items SET content = 'changed during the job' WHERE id = 9")
        assert store.count(lacks=upgrade.stored.name) == 2
        job.run()
        assert gallery.coverage == 1.0
        expected = [items.closest(query, 10) for query in queries]
        assert old_answers(gallery) == expected
        job.finish()
        (hits,) = gallery.search(some_unit_rows(1, 20, 1), 100)
        assert {hit.id for hit in hits} == {one for (one,) in items.sql("SELECT id FROM items")}
        assert [items.closest(query, 10) for query in queries] == expected
        items.sql("DELETE FROM items WHERE id = %s", id)
        assert gallery.count == N
    detach(items.uri)


def test_a_rollback_restores_the_table_and_its_answers(items: UsersItems) -> None:
    upgrade = make_upgrade("items", dim_old=DIM, dim_new=20, seed=3)
    queries = some_unit_rows(4, DIM, 8)
    before = [items.closest(query, 10) for query in queries]
    with attach(items.uri, id="id", old_vector="embedding", space=upgrade.source) as store:
        gallery = open_gallery(store, upgrade)
        attached = store.spaces()
        gallery.prepare()
        rows = some_unit_rows(N, 20, 9)
        job = Backfill(gallery, encoder=lambda batch: rows[: len(batch)], batch_size=16)
        job.run()
        assert len(attached) == 3 and gallery.coverage == 1.0
        job.rollback()
        assert list(store.spaces()) == [upgrade.source.name]
        found = gallery.search(None, 10, query_old=queries, mode="old")
        assert [[(hit.id, hit.score) for hit in hits] for hits in found] == before
    assert [items.closest(query, 10) for query in queries] == before
    detach(items.uri)
