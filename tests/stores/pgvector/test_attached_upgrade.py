"""An attached table goes through a whole upgrade."""

from collections.abc import Sequence

import numpy as np
from users_items import DIM, N, UsersItems, some_unit_rows

from crossfade.backfill import Backfill
from crossfade.embeddings import FloatArray
from crossfade.gallery import Gallery, open_gallery
from crossfade.stores import Item
from crossfade.stores.pgvector.attach import attach, detach
from crossfade.testing import make_upgrade


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
