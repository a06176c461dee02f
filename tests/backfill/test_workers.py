"""Several workers on one job."""

import threading
import time
from collections import Counter
from collections.abc import Sequence
from typing import Any

import numpy as np
import pytest

from crossfade.backfill import Backfill, JobState, JobStatus, Throttle
from crossfade.backfill.journal import Leased, open_journal
from crossfade.embeddings import FloatArray
from crossfade.errors import EncoderError, GalleryStateError, InvalidInput
from crossfade.gallery import Gallery
from crossfade.stores import Item
from crossfade.testing import FakeEncoder, World


def embedding(world: World) -> Any:
    return lambda item: world.gallery.new[item.payload["row"]]


def stored_rightly(gallery: Gallery, world: World) -> bool:
    stored = gallery.upgrade.stored.name
    items = gallery.store.scan(n=1000, vectors=[stored])
    expected = gallery.upgrade.store_new(world.gallery.new)
    return all(
        np.allclose(item.vectors[stored], expected[item.payload["row"]], atol=1e-6)
        for item in items
    )


@pytest.mark.parametrize("workers", [2, 7])
def test_workers_of_a_slow_encoder_move_every_item_once(
    gallery: Gallery, world: World, workers: int
) -> None:
    at_once, most = 0, 0
    lock = threading.Lock()

    def encode(items: Sequence[Item]) -> FloatArray:
        nonlocal at_once, most
        with lock:
            at_once += 1
            most = max(most, at_once)
        rows = slow(items)
        with lock:
            at_once -= 1
        return rows

    slow = FakeEncoder(embedding(world), latency_seconds=0.05)
    job = Backfill(gallery, encode, batch_size=4, flush_seconds=0.05)
    status = job.run(workers=workers)
    assert (status.state, status.done, status.coverage) == (JobState.COMPLETE, 120, 1.0)
    assert sorted(slow.encoded) == list(range(120))
    # How many meet depends on the machine; one at a time would be no crew.
    assert 1 < most <= workers
    assert stored_rightly(gallery, world)


def test_runs_of_a_job_share_it(gallery: Gallery, world: World) -> None:
    encoders = [FakeEncoder(embedding(world), latency_seconds=0.03) for _ in range(3)]
    results: list[JobStatus] = []

    def run(encoder: FakeEncoder) -> None:
        results.append(Backfill(gallery, encoder, batch_size=4, flush_seconds=0.02).run())

    threads = [threading.Thread(target=run, args=(encoder,)) for encoder in encoders]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert [status.state for status in results] == [JobState.COMPLETE] * 3
    assert sorted(id for encoder in encoders for id in encoder.encoded) == list(range(120))
    assert all(encoder.encoded for encoder in encoders)


def test_a_second_job_is_refused_and_the_first_goes_on(gallery: Gallery, world: World) -> None:
    refused: list[str] = []

    def encode(items: Sequence[Item]) -> FloatArray:
        if not refused:
            with pytest.raises(GalleryStateError, match="in order 'random' with seed 0") as error:
                Backfill(gallery, encoder, order="gallery").run()
            refused.append(str(error.value))
        return encoder(items)

    encoder = FakeEncoder(embedding(world))
    assert Backfill(gallery, encode, batch_size=10).run().state is JobState.COMPLETE
    assert refused and sorted(encoder.encoded) == list(range(120))


def test_a_run_that_stops_leaves_the_job_to_the_others(gallery: Gallery, world: World) -> None:
    encoder = FakeEncoder(embedding(world), latency_seconds=0.02)
    first = Backfill(gallery, encoder, batch_size=4, flush_seconds=0.0)
    joined = threading.Event()
    seen: list[JobStatus] = []

    def go_on() -> None:
        second = Backfill(gallery, encoder, batch_size=4, flush_seconds=0.0)
        seen.append(second.run(progress=lambda status: joined.set()))

    other = threading.Thread(target=go_on)

    def progress(status: JobStatus) -> None:
        if not other.ident:
            other.start()
            assert joined.wait(30)
            first.stop()

    status = first.run(progress=progress)
    assert status.state is JobState.RUNNING and status.workers == 1
    other.join()
    assert (seen[0].state, seen[0].done) == (JobState.COMPLETE, 120)
    assert sorted(encoder.encoded) == list(range(120))


def test_a_limit_of_items_is_kept_by_all_workers_together(gallery: Gallery, world: World) -> None:
    encoder = FakeEncoder(embedding(world), latency_seconds=0.01)
    job = Backfill(gallery, encoder, batch_size=4, flush_seconds=0.0)
    status = job.run(max_items=50, workers=3)
    assert (status.state, status.done, len(encoder.encoded)) == (JobState.PAUSED, 50, 50)
    status = job.run(max_items=70, workers=3)
    assert (status.state, status.done) == (JobState.COMPLETE, 120)


def test_a_worker_that_fails_stops_the_others_and_loses_nothing(
    gallery: Gallery, world: World
) -> None:
    fine = FakeEncoder(embedding(world), latency_seconds=0.02)
    calls = iter(range(1000))

    def encode(items: Sequence[Item]) -> Any:
        return "no vectors" if next(calls) == 5 else fine(items)

    with pytest.raises(EncoderError, match="wanted a matrix"):
        Backfill(gallery, encode, batch_size=4, flush_seconds=0.0).run(workers=3)
    status = Backfill(gallery).status()
    assert status.state is JobState.PAUSED and status.workers == 0
    assert 0 < status.done < 120 and status.done + status.pending == 120
    assert Backfill(gallery, fine).run().state is JobState.COMPLETE
    assert Counter(fine.encoded).most_common(1)[0][1] == 1


def test_a_pause_stops_all_workers_of_all_runs(gallery: Gallery, world: World) -> None:
    encoder = FakeEncoder(embedding(world), latency_seconds=0.02)
    results: list[JobStatus] = []

    def run() -> None:
        job = Backfill(gallery, encoder, batch_size=4, flush_seconds=0.0)
        results.append(job.run(workers=2))

    threads = [threading.Thread(target=run) for _ in range(2)]
    for thread in threads:
        thread.start()
    while len(encoder.encoded) < 20:
        time.sleep(0.005)
    Backfill(gallery).pause()
    for thread in threads:
        thread.join()
    assert {status.state for status in results} == {JobState.PAUSED}
    status = Backfill(gallery).status()
    assert (status.state, status.workers) == (JobState.PAUSED, 0)
    assert status.done == len(encoder.encoded) < 120


def test_items_moved_to_the_front_come_next(gallery: Gallery, world: World) -> None:
    encoder = FakeEncoder(embedding(world))
    job = Backfill(gallery, encoder, order="gallery", batch_size=4, flush_seconds=0.0)
    moved: list[int] = []

    def progress(status: JobStatus) -> None:
        if not moved:
            moved.append(Backfill(gallery).prioritise([0, 99, 50, 98, "unknown"]))

    assert job.run(progress=progress).state is JobState.COMPLETE
    assert moved == [3], "0 is done, and nobody knows the last"
    assert encoder.encoded[:12] == [0, 1, 2, 3, 50, 98, 99, 4, 5, 6, 7, 8]
    with pytest.raises(InvalidInput, match="priority is 0"):
        job.prioritise([1], 0)


def test_a_dead_worker_s_items_are_moved_by_the_others(gallery: Gallery, world: World) -> None:
    encoder = FakeEncoder(embedding(world))
    job = Backfill(gallery, encoder, batch_size=4, flush_seconds=0.0)
    journal = open_journal(gallery.store)
    died: list[Any] = []

    def progress(status: JobStatus) -> None:
        if not died:
            died.extend(one.id for one in journal.lease(9, "one that dies", 0.3))

    status = job.run(progress=progress)
    assert (status.state, status.done) == (JobState.COMPLETE, 120)
    assert len(died) == 9 and sorted(encoder.encoded) == list(range(120))


def test_a_worker_that_lost_its_lease_does_no_harm(gallery: Gallery, world: World) -> None:
    """It hung in its encoder without a heartbeat, and all is done by another one meanwhile."""
    encoder = FakeEncoder(embedding(world))
    turns = iter(["hang"])

    def hanging(items: Sequence[Item]) -> FloatArray:
        rows = encoder(items)
        if next(turns, None):
            open_journal(gallery.store).evict()
            assert Backfill(gallery, encoder).run().state is JobState.COMPLETE
        return rows

    status = Backfill(gallery, hanging, batch_size=10).run()
    assert (status.state, status.done, status.parked) == (JobState.COMPLETE, 120, 0)
    assert max(Counter(encoder.encoded).values()) == 2
    assert stored_rightly(gallery, world)


def test_no_workers_and_no_lease_are_refused(gallery: Gallery) -> None:
    with pytest.raises(InvalidInput, match="workers is 0"):
        Backfill(gallery, FakeEncoder(lambda item: np.ones(20))).run(workers=0)
    with pytest.raises(InvalidInput, match="lease_seconds is 0"):
        Backfill(gallery, lease_seconds=0)


@pytest.mark.parametrize("workers", [1, 3])
def test_the_next_chunk_is_leased_while_one_is_written(
    gallery: Gallery, world: World, workers: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("crossfade.backfill.worker._LEASED_AHEAD", 4)
    # Many chunks, however slow the machine is.
    monkeypatch.setattr("crossfade.backfill.worker._LARGEST_CHUNK", 8)
    ahead = leases_ahead(gallery, monkeypatch)
    encoder = FakeEncoder(embedding(world), latency_seconds=0.01)
    job = Backfill(gallery, encoder, batch_size=4, flush_seconds=0.02)
    status = job.run(workers=workers)
    assert (status.state, status.done, status.coverage) == (JobState.COMPLETE, 120, 1.0)
    assert sorted(encoder.encoded) == list(range(120))
    assert sum(ahead) > 5
    assert stored_rightly(gallery, world)


def test_a_stop_gives_back_what_was_leased_ahead(
    gallery: Gallery, world: World, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("crossfade.backfill.worker._LEASED_AHEAD", 4)
    encoder = FakeEncoder(embedding(world))
    job = Backfill(gallery, encoder, batch_size=4, flush_seconds=0.0)
    journal = open_journal(gallery.store)

    def progress(status: JobStatus) -> None:
        until = time.monotonic() + 30
        while status.state is JobState.RUNNING and not journal.counts().leased:
            assert time.monotonic() < until, "the second chunk was not leased"
        job.stop()

    status = job.run(progress=progress)
    assert (status.state, status.done, status.pending) == (JobState.PAUSED, 4, 116)
    assert journal.counts().leased == 0
    assert job.run().state is JobState.COMPLETE
    assert sorted(encoder.encoded) == list(range(120))


@pytest.mark.parametrize(("items", "rate"), [(60, None), (None, 1e6)])
def test_nothing_is_leased_ahead_of_a_limit(
    gallery: Gallery,
    world: World,
    items: int | None,
    rate: float | None,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr("crossfade.backfill.worker._LEASED_AHEAD", 4)
    ahead = leases_ahead(gallery, monkeypatch)
    throttle = Throttle(max_rate=rate)
    job = Backfill(gallery, FakeEncoder(embedding(world)), batch_size=4, throttle=throttle)
    assert job.run(max_items=items).done == (items or 120)
    assert not any(ahead)


def leases_ahead(gallery: Gallery, monkeypatch: pytest.MonkeyPatch) -> list[bool]:
    """Filled, at each lease, with whether it was made beside the worker's thread."""
    journal, seen = open_journal(gallery.store), [False]
    lease = journal.lease

    def watching(n: int, worker: str, seconds: float, upgrade_id: str) -> list[Leased]:
        seen.append(threading.current_thread().name == "backfill behind")
        return lease(n, worker, seconds, upgrade_id)

    monkeypatch.setattr(journal, "lease", watching)
    return seen
