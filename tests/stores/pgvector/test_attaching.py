"""Which tables are attached, and that they are given back as they were found."""

import pytest
from users_items import DIM, NEW, OLD, N, UsersItems, attach_new, read

from crossfade.embeddings import Space
from crossfade.errors import InvalidInput, SpaceMismatch, StoreError
from crossfade.stores import Draft, open_store
from crossfade.stores.pgvector.attach import attach, detach
from crossfade.testing import PostgresServer

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
