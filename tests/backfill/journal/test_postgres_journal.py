"""The journal in PostgreSQL: the contract, and a job of a collection there."""

import hashlib
import threading
import time
from collections.abc import Iterator, Sequence
from contextlib import ExitStack
from pathlib import Path

import numpy as np
import pytest
from psycopg import sql

from crossfade.backfill import Backfill
from crossfade.backfill.journal import Entry, JobRow, Journal, Page, open_journal
from crossfade.backfill.journal.postgres import PostgresJournal
from crossfade.backfill.status import JobState
from crossfade.embeddings import FloatArray, Space
from crossfade.errors import JobLocked, StoreError
from crossfade.gallery import Gallery, open_gallery
from crossfade.gallery.state import Phase
from crossfade.orders.random_keys import random_keys
from crossfade.stores import Draft, Item, Store, open_store
from crossfade.stores.pgvector.store import PgvectorStore
from crossfade.stores.pgvector.text import key_of
from crossfade.testing import PostgresServer, make_upgrade, make_world
from crossfade.testing.journal_contract import JournalContract
from crossfade.testing.store_contract import AWKWARD_IDS


class TestPostgresJournal(JournalContract):
    short_seconds = 0.5

    @pytest.fixture(autouse=True)
    def stores(self, postgres: PostgresServer) -> Iterator[None]:
        self.postgres = postgres
        with ExitStack() as self.opened:
            yield

    def open_journal(self, place: Path) -> Journal:
        return open_journal(self.opened.enter_context(open_table(self.postgres, place)))


def open_table(postgres: PostgresServer, place: Path) -> Store:
    digest = hashlib.sha256(str(place).encode()).hexdigest()[:16]
    return open_store(postgres.uri(table=f"journal_{digest}"))


def test_a_store_has_one_journal_of_its_own(postgres: PostgresServer, tmp_path: Path) -> None:
    with open_table(postgres, tmp_path) as store, open_table(postgres, tmp_path / "b") as other:
        journal = open_journal(store)
        assert isinstance(journal, PostgresJournal) and open_journal(store) is journal
        journal.begin(JobRow("upgrade", "random", 7))
        assert open_journal(other).job() is None
    with pytest.raises(StoreError, match="closed"):
        journal.counts()


def test_the_journal_survives_the_server_s_crash(postgres: PostgresServer, tmp_path: Path) -> None:
    with open_table(postgres, tmp_path) as store:
        journal = open_journal(store)
        journal.begin(JobRow("upgrade", "random\0", 7))
        journal.join("w", 60)
        journal.begin_sweep("w")
        journal.enqueue([Entry(id, 1, id) for id in range(100)])
        journal.end_sweep("w")
        assert len(journal.lease(10, "w", 60)) == 10
        postgres.crash()
        postgres.start()
        # Of the lease it may know nothing any more; of what had to be found out it does.
        counts = journal.counts()
        assert counts.leased in (0, 10) and counts.leased + counts.pending == 100
        job = journal.job()
        assert job is not None and job.order == "random\0"


def test_two_stores_share_a_job_and_nobody_else_can_have_it_alone(
    postgres: PostgresServer, tmp_path: Path
) -> None:
    world, upgrade = make_world(items=60), make_upgrade()
    encoded: list[int] = []
    # The two, and the one who looks on while both hold a batch.
    at_work, seen = threading.Barrier(3, timeout=60), threading.Event()

    with open_table(postgres, tmp_path) as first, open_table(postgres, tmp_path) as second:
        galleries = [open_gallery(first, upgrade), open_gallery(second, upgrade)]
        galleries[0].upsert(range(60), old=world.gallery.old)

        def encode(items: Sequence[Item]) -> FloatArray:
            if not seen.is_set():
                at_work.wait()
                seen.wait(60)
            encoded.extend(int(item.id) for item in items)
            return world.new_of(np.array([item.id for item in items]))

        def work(gallery: Gallery) -> None:
            Backfill(gallery, encoder=encode, batch_size=7).run()

        threads = [threading.Thread(target=work, args=(one,)) for one in galleries]
        for thread in threads:
            thread.start()
        at_work.wait()
        assert len(open_journal(first).workers()) == 2
        with pytest.raises(JobLocked, match="process"):
            Backfill(galleries[1], encoder=encode).rollback()
        seen.set()
        for thread in threads:
            thread.join()
        assert galleries[0].coverage == 1.0
        assert sorted(encoded) == list(range(60)), "each was encoded once"
        Backfill(galleries[1], encoder=encode).rollback()
        assert galleries[0].state.phase is Phase.ROLLED_BACK


def test_the_server_queues_in_the_same_random_order_as_any_other_journal(
    postgres: PostgresServer, tmp_path: Path
) -> None:
    ids = [*AWKWARD_IDS, *range(100, 140)]
    with open_table(postgres, tmp_path) as store:
        store.ensure_space(Space("old", 2))
        store.ensure_space(Space("new %s", 2))
        one = np.ones(2, dtype=np.float32) / np.sqrt(np.float32(2))
        store.put([Draft(id, {"old": one}) for id in ids])
        store.put([Draft("moved", {"old": one, "new %s": one})])
        journal = open_journal(store)
        journal.begin(JobRow("upgrade", "random", 7))
        journal.join("w", 60)
        journal.begin_sweep("w")
        assert journal.can_enqueue_at_random
        first = journal.enqueue_at_random("new %s", 7)
        assert first.queued == len(ids)
        assert journal.enqueue_at_random("new %s", 7) == Page(first.last, 0)
        assert journal.enqueue_at_random("new %s", 7, first.last) == Page(None, 0)
        journal.end_sweep("w")
        leased = [one.id for one in journal.lease(1000, "w", 60)]
    assert leased == sorted(ids, key=random_keys(7))


def test_a_lease_reads_what_it_leases_and_not_the_whole_queue(
    postgres: PostgresServer, tmp_path: Path
) -> None:
    """Though a queue that was filled a moment ago has no statistics to plan by."""
    with open_table(postgres, tmp_path) as store:
        journal = open_journal(store)
        journal.begin(JobRow("upgrade", "random", 7, JobState.RUNNING))
        journal.join("w", 60)
        journal.begin_sweep("w")
        keys = random_keys(7)
        journal.enqueue([Entry(id, 1, keys(id)) for id in range(20_000)])
        journal.end_sweep("w")
        assert isinstance(store, PgvectorStore)
        queue = store.catalog.journal_tables()["queue"]

        def read() -> int:
            statement = sql.SQL("SELECT pg_stat_force_next_flush()")
            store.connections.execute(statement)
            counted = sql.SQL(
                "SELECT seq_tup_read + coalesce(idx_tup_fetch, 0) FROM pg_stat_all_tables "
                "WHERE relid = {}::regclass"
            ).format(sql.Literal(queue.as_string()))
            ((rows,),) = store.connections.execute(counted)
            return int(rows)

        before = read()
        assert len(journal.lease(10, "w", 60)) == 10
        assert 0 < read() - before < 100


def test_a_role_that_does_not_own_the_queue_works_on_it(
    postgres: PostgresServer, tmp_path: Path
) -> None:
    """Owning is asked for where an index is made: by the role that filled it first."""
    with open_table(postgres, tmp_path) as store:
        assert isinstance(store, PgvectorStore)
        owner = open_journal(store)
        job = JobRow("upgrade", "random", 7, JobState.RUNNING)
        for _ in range(2):
            owner.begin(job)
            sweep_and_lease(owner)
            owner.leave("w")
        for statement in (
            "CREATE ROLE queue_guest",
            "GRANT ALL ON ALL TABLES IN SCHEMA public TO queue_guest",
            "GRANT ALL ON ALL SEQUENCES IN SCHEMA public TO queue_guest",
            "GRANT CREATE ON SCHEMA public TO queue_guest",
        ):
            store.connections.execute(sql.SQL(statement))
        guest = postgres.uri(table=store.address.table, options="-c%20role%3Dqueue_guest")
        with open_store(guest) as other:
            journal = open_journal(other)
            sweep_and_lease(journal)
            journal.leave("w")
            journal.clear()
            journal.begin(job)
            sweep_and_lease(journal)


def sweep_and_lease(journal: Journal) -> None:
    journal.join("w", 60)
    assert journal.begin_sweep("w")
    journal.enqueue([Entry(id, 1, id) for id in range(100)])
    journal.end_sweep("w")
    assert [one.id for one in journal.lease(10, "w", 60)] == list(range(10))


def test_two_that_queue_the_same_page_at_once_queue_each_item_once(
    postgres: PostgresServer, tmp_path: Path
) -> None:
    """One whose lease is over still sweeps: its items come between the other's look and write."""
    one = np.ones(2, dtype=np.float32) / np.sqrt(np.float32(2))
    with open_table(postgres, tmp_path) as store:
        assert isinstance(store, PgvectorStore)
        store.ensure_space(Space("old", 2))
        store.ensure_space(Space("new", 2))
        store.put([Draft(id, {"old": one}) for id in range(50)])
        journal = open_journal(store)
        journal.begin(JobRow("upgrade", "random", 7, JobState.RUNNING))
        journal.join("w", 60)
        journal.begin_sweep("w")
        queue = store.catalog.journal_tables()["queue"]
        insert = sql.SQL("INSERT INTO {} (item, key, version) VALUES (%s, 0, 1)").format(queue)
        pages: list[Page] = []
        with postgres.connect() as other:
            other.execute("BEGIN")
            other.execute(insert, [key_of(30)])
            thread = threading.Thread(
                target=lambda: pages.append(journal.enqueue_at_random("new", 7))
            )
            thread.start()
            waiting = "SELECT count(*) FROM pg_locks WHERE NOT granted"
            until = time.monotonic() + 30
            while store.connections.execute(sql.SQL(waiting)) == [(0,)]:
                assert time.monotonic() < until, "it did not wait for the other"
            other.execute("COMMIT")
            thread.join()
        assert pages == [Page(49, 49)]
        journal.end_sweep("w")
        assert sorted(one.id for one in journal.lease(99, "w", 60)) == list(range(50))
