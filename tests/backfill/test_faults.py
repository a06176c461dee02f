"""Stores that go away, disks that are full, items written past the gallery."""

import errno
import threading
from collections import Counter
from collections.abc import Sequence
from typing import Any

import numpy as np
import pytest

from crossfade.backfill import Backfill, JobState, Outage, Retry
from crossfade.backfill.journal import Leased, SqliteJournal, open_journal
from crossfade.embeddings import FloatArray
from crossfade.errors import StoreError, StoreUnavailable
from crossfade.gallery import Gallery, open_gallery
from crossfade.stores import Draft, Id, Item, Outcome, VectorWrite
from crossfade.stores.memory import MemoryStore
from crossfade.testing import FakeEncoder, World, make_upgrade
from crossfade.upgrade import Side

QUICK = Outage(limit_seconds=30.0, pauses=Retry(first_seconds=0.01, cap_seconds=0.02))


class UnreliableStore(MemoryStore):
    """Goes away for some calls: at the n-th call of a method, for so many calls of any."""

    def __init__(self) -> None:
        super().__init__()
        self.refused = 0
        self._plan: dict[tuple[str, int], int] = {}
        self._seen: Counter[str] = Counter()
        self._away = 0

    def go_away(self, method: str, call: int, calls: int) -> None:
        self._plan[method, self._seen[method] + call] = calls

    def _touch(self, method: str) -> None:
        with self._lock:
            self._seen[method] += 1
            self._away += self._plan.pop((method, self._seen[method]), 0)
            if self._away:
                self._away -= 1
                self.refused += 1
                raise StoreUnavailable(f"the store is away ({method})")

    def get(self, ids: Sequence[Id], *, vectors: Sequence[str] = ()) -> list[Item | None]:
        self._touch("get")
        return super().get(ids, vectors=vectors)

    def set_vectors(self, space: str, writes: Sequence[VectorWrite]) -> list[Outcome]:
        self._touch("set_vectors")
        return super().set_vectors(space, writes)

    def scan(self, **how: Any) -> list[Item]:
        self._touch("scan")
        return super().scan(**how)

    def flush(self) -> None:
        self._touch("flush")


@pytest.fixture
def unreliable(world: World) -> Gallery:
    gallery = open_gallery(UnreliableStore(), make_upgrade(Side.QUERY))
    rows = [{"row": row} for row in range(120)]
    gallery.upsert(world.gallery.ids, old=world.gallery.old, payload=rows)
    return gallery


def store_of(gallery: Gallery) -> UnreliableStore:
    assert isinstance(gallery.store, UnreliableStore)
    return gallery.store


@pytest.mark.parametrize("method", ["get", "set_vectors", "flush", "scan"])
@pytest.mark.parametrize("workers", [1, 3])
def test_a_store_that_comes_back_is_waited_for(
    unreliable: Gallery, encoder: FakeEncoder, method: str, workers: int
) -> None:
    store_of(unreliable).go_away(method, 1 if method == "scan" else 3, 5)
    job = Backfill(unreliable, encoder, batch_size=10, flush_seconds=0.0, outage=QUICK)
    status = job.run(workers=workers)
    assert (status.state, status.done, status.coverage) == (JobState.COMPLETE, 120, 1.0)
    assert store_of(unreliable).refused == 5
    # Only what was encoded and could not be written, or not be flushed, is not known to be done.
    assert max(Counter(encoder.encoded).values()) <= (2 if method == "set_vectors" else 1) * workers


def test_a_lease_whose_answer_was_lost_does_not_stop_the_job(
    unreliable: Gallery, encoder: FakeEncoder, monkeypatch: pytest.MonkeyPatch
) -> None:
    journal = open_journal(unreliable.store)
    lease, leases = journal.lease, iter(range(1000))

    def losing(n: int, worker: str, seconds: float, upgrade_id: str) -> list[Leased]:
        leased = lease(n, worker, seconds, upgrade_id)
        if next(leases) == 3:
            raise StoreUnavailable("the connection broke after the commit")
        return leased

    monkeypatch.setattr(journal, "lease", losing)
    job = Backfill(unreliable, encoder, batch_size=10, flush_seconds=0.0, outage=QUICK)
    status = job.run()
    assert (status.state, status.done, status.coverage) == (JobState.COMPLETE, 120, 1.0)
    assert sorted(encoder.encoded) == list(range(120))


def test_a_store_that_stays_away_pauses_the_job_and_nothing_is_lost(
    unreliable: Gallery, encoder: FakeEncoder
) -> None:
    store_of(unreliable).go_away("get", 4, 1_000_000)
    briefly = Outage(limit_seconds=0.2, pauses=QUICK.pauses)
    job = Backfill(unreliable, encoder, batch_size=10, flush_seconds=0.0, outage=briefly)
    with pytest.raises(StoreUnavailable, match="the store is away"):
        job.run()
    status = job.status()
    assert (status.state, status.done, status.pending) == (JobState.PAUSED, 30, 90)
    assert status.last_error is not None and "the store is away" in status.last_error
    store_of(unreliable)._away = 0
    assert job.run().state is JobState.COMPLETE
    assert sorted(encoder.encoded) == list(range(120))


def test_a_stop_ends_the_waiting_for_a_store(unreliable: Gallery, encoder: FakeEncoder) -> None:
    store_of(unreliable).go_away("get", 1, 1_000_000)
    slow = Outage(pauses=Retry(first_seconds=600.0, cap_seconds=600.0))
    steps = lambda step: threading.Timer(0.1, job.stop).start() if step == "leased" else None  # noqa: E731
    job = Backfill(unreliable, encoder, outage=slow, observe=steps)
    assert job.run().state is JobState.PAUSED


@pytest.mark.parametrize("by", ["stop", "pause"])
def test_a_stop_ends_the_waiting_for_an_encoder(
    gallery: Gallery, encoder: FakeEncoder, by: str
) -> None:
    def away(items: Sequence[Item]) -> FloatArray:
        threading.Timer(0.1, getattr(job, by)).start()
        raise ConnectionError("away")

    job = Backfill(gallery, away, retry=Retry(first_seconds=600.0, cap_seconds=600.0))
    status = job.run()
    assert (status.state, status.pending, status.last_error) == (JobState.PAUSED, 120, None)
    assert Backfill(gallery, encoder).run().state is JobState.COMPLETE


def test_a_worker_that_hangs_in_its_encoder_is_not_waited_for_and_writes_nothing(
    gallery: Gallery, encoder: FakeEncoder, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("crossfade.backfill.crew.GRACE_SECONDS", 0.2)
    inside, go_on = threading.Event(), threading.Event()

    def hanging(items: Sequence[Item]) -> FloatArray:
        inside.set()
        assert go_on.wait(60)
        return encoder(items)

    job = Backfill(gallery, hanging, batch_size=10)
    stopper = threading.Thread(target=lambda: (inside.wait(60), job.stop()))
    stopper.start()
    status = job.run()
    assert (status.state, status.done, status.pending) == (JobState.PAUSED, 0, 120)
    before = [thread for thread in threading.enumerate() if thread.name == "backfill"]
    go_on.set()
    for thread in before:
        thread.join()
    assert gallery.coverage == 0.0
    assert Backfill(gallery, encoder).run().state is JobState.COMPLETE


def test_a_full_disk_stops_the_job_before_the_engine_dies_of_it(
    tmp_path: Any, world: World, encoder: FakeEncoder, monkeypatch: pytest.MonkeyPatch
) -> None:
    with open_gallery(f"qdrant://{tmp_path}/gallery", make_upgrade()) as gallery:
        rows = [{"row": row} for row in range(120)]
        gallery.upsert(world.gallery.ids, old=world.gallery.old, payload=rows)
        job = Backfill(gallery, encoder, batch_size=10, flush_seconds=0.0)
        job.run(max_items=30)
        room = "crossfade.stores.qdrant.store._ROOM_BYTES"
        with monkeypatch.context() as patch:
            patch.setattr(room, 2**62)
            with pytest.raises(StoreError, match=r"no room is left .* nothing is lost"):
                job.run()
        status = job.status()
        assert (status.state, status.done, status.pending) == (JobState.PAUSED, 30, 90)
        assert status.last_error is not None and "no room is left" in status.last_error
        assert job.run().state is JobState.COMPLETE
        assert gallery.coverage == 1.0


def test_a_full_journal_stops_the_job_and_nothing_is_lost(
    tmp_path: Any, world: World, encoder: FakeEncoder
) -> None:
    with open_gallery(f"qdrant://{tmp_path}/gallery", make_upgrade()) as gallery:
        # Long names fill its pages.
        names = [f"{row:0200}" for row in range(120)]
        rows = [{"row": row} for row in range(120)]
        gallery.upsert(names, old=world.gallery.old, payload=rows)
        journal = open_journal(gallery.store)
        assert isinstance(journal, SqliteJournal)
        ((pages,),) = journal._database.rows("PRAGMA page_count")
        journal._database.rows(f"PRAGMA max_page_count = {pages + 2}")
        job = Backfill(gallery, encoder)
        with pytest.raises(StoreError, match="no room is left for the journal"):
            job.run()
        journal._database.rows("PRAGMA max_page_count = 1000000")
        assert job.run().state is JobState.COMPLETE


def test_items_written_past_the_gallery_are_found(
    gallery: Gallery, world: World, encoder: FakeEncoder
) -> None:
    """Straight into the store, before, during and after a run."""
    source = gallery.upgrade.source.name

    def put(id: Id, row: int) -> None:
        gallery.store.put([Draft(id, {source: world.gallery.old[row]}, {"row": row})])

    def encode(items: Sequence[Item]) -> FloatArray:
        if encoder.calls == 1:
            put("during", 1)
            put(items[0].id, 2)
        return encoder(items)

    put("before", 0)
    status = Backfill(gallery, encode, batch_size=10).run()
    assert (status.state, status.coverage) == (JobState.COMPLETE, 1.0)
    put("after", 3)
    put("before", 4)
    status = Backfill(gallery, encoder).run()
    assert (status.state, status.coverage) == (JobState.COMPLETE, 1.0)
    stored = gallery.upgrade.stored.name
    expected = gallery.upgrade.store_new(world.gallery.new)
    for item in gallery.store.scan(n=1000, vectors=[stored]):
        assert np.allclose(item.vectors[stored], expected[item.payload["row"]], atol=1e-6)


def test_a_long_run_of_bad_items_that_are_tried_again_does_not_stop_the_job(
    gallery: Gallery, world: World, monkeypatch: pytest.MonkeyPatch
) -> None:
    bad = range(100)
    embed = lambda item: world.gallery.new[item.payload["row"]]  # noqa: E731
    first = Backfill(gallery, FakeEncoder(embed, poison=bad), batch_size=4, flush_seconds=0.0)
    with monkeypatch.context() as patch:
        patch.setattr("crossfade.backfill.streak._HOPELESS", 1000)
        assert first.run().state is JobState.PARKED
    monkeypatch.setattr("crossfade.backfill.streak._HOPELESS_LATER", 30)
    assert first.retry_parked() == 100
    # Ninety are as bad as before; all are tried, and the ten that were mended are moved.
    second = Backfill(gallery, FakeEncoder(embed, poison=range(90)), batch_size=4)
    status = second.run()
    assert (status.state, status.done, status.parked) == (JobState.PARKED, 30, 90)


def test_errors_of_the_system_that_an_encoder_raises_are_laid_to_its_items(
    gallery: Gallery, world: World
) -> None:
    def encode(items: Sequence[Item]) -> FloatArray:
        if any(item.id == 7 for item in items):
            raise OSError(errno.ENOENT, "no such image")
        return np.stack([world.gallery.new[item.payload["row"]] for item in items])

    job = Backfill(gallery, encode, batch_size=10)
    assert job.run().state is JobState.PARKED
    (parked,) = job.parked_items()
    assert parked.id == 7 and "no such image" in parked.reason
