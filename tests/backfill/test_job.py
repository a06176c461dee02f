"""The job, from its start to its ends."""

import threading
from collections.abc import Sequence
from typing import Any

import numpy as np
import pytest

from crossfade.backfill import Backfill, JobState, JobStatus, Retry, Scoring, register_order
from crossfade.backfill.journal import JobRow, open_journal
from crossfade.backfill.sweep import sweep
from crossfade.embeddings import FloatArray
from crossfade.errors import (
    EncoderError,
    EncoderUnavailable,
    GalleryStateError,
    InvalidInput,
    JobLocked,
)
from crossfade.gallery import Gallery, open_gallery, start_gallery
from crossfade.orders import open_order
from crossfade.stores import Item
from crossfade.testing import FakeEncoder, World, make_upgrade
from crossfade.upgrade import Side, Upgrade

RANDOM_BY_SEED_3 = [37, 4, 69, 64, 71, 6]
AT_ONCE = Retry(attempts=3, first_seconds=0.0, cap_seconds=0.0)


def answers(gallery: Gallery, world: World) -> list[list[Any]]:
    found = gallery.search(world.queries.new, 120)
    return [[(hit.id, hit.side) for hit in hits] for hits in found]


def plain_new_answers(gallery: Gallery, world: World) -> list[list[Any]]:
    stored = gallery.upgrade.store_new(world.gallery.new)
    scores = gallery.upgrade.store_new(world.queries.new) @ stored.T
    return [[(row, "new") for row in line] for line in np.argsort(-scores, axis=1, kind="stable")]


def old_answers(gallery: Gallery, world: World) -> list[list[Any]]:
    found = gallery.search(None, 120, query_old=world.queries.old, mode="old")
    return [[(hit.id, hit.score) for hit in hits] for hits in found]


def test_a_run_moves_every_item_once(gallery: Gallery, world: World, encoder: FakeEncoder) -> None:
    before = old_answers(gallery, world)
    status = Backfill(gallery, encoder, batch_size=7).run()
    assert (status.state, status.coverage) == (JobState.COMPLETE, 1.0)
    assert (status.items, status.done, status.pending, status.parked) == (120, 120, 0, 0)
    assert sorted(encoder.encoded) == list(range(120))
    assert answers(gallery, world) == plain_new_answers(gallery, world)
    assert old_answers(gallery, world) == before
    payloads = [item.payload for item in gallery.store.scan(n=200)]
    assert payloads == [{"row": row} for row in range(120)]


def test_the_order_is_that_of_the_seed_in_every_store(
    gallery: Gallery, encoder: FakeEncoder
) -> None:
    Backfill(gallery, encoder, seed=3, batch_size=7).run(max_items=30)
    assert encoder.encoded[:6] == RANDOM_BY_SEED_3


def evens_first(upgrade: Upgrade, seed: int, argument: str) -> Scoring:
    return Scoring(lambda items: [int(item.id) % 2 for item in items])


def test_an_order_can_be_plugged_in(gallery: Gallery, encoder: FakeEncoder) -> None:
    register_order("evens first", evens_first)
    status = Backfill(gallery, encoder, order="evens first").run(max_items=60)
    assert set(encoder.encoded) == set(range(0, 120, 2))
    assert (status.order, status.coverage) == ("evens first", 0.5)


def test_an_unknown_order_is_refused_before_anything_is_done(gallery: Gallery) -> None:
    job = Backfill(gallery, FakeEncoder(lambda item: np.ones(20)), order="zigzag")
    with pytest.raises(InvalidInput, match="zigzag"):
        job.run()
    assert job.status().state is JobState.NEW


def test_a_job_goes_on_where_it_stopped(gallery: Gallery, encoder: FakeEncoder) -> None:
    job = Backfill(gallery, encoder, batch_size=10)
    status = job.run(max_items=25)
    assert (status.state, status.done, status.pending) == (JobState.PAUSED, 25, 95)
    assert status.coverage == pytest.approx(25 / 120)
    other = Backfill(gallery, encoder, batch_size=50)
    assert other.status() == status
    assert other.resume().state is JobState.COMPLETE
    assert len(encoder.encoded) == len(set(encoder.encoded)) == 120


def test_running_a_complete_job_again_does_nothing(gallery: Gallery, encoder: FakeEncoder) -> None:
    job = Backfill(gallery, encoder)
    job.run()
    calls = encoder.calls
    assert job.run().state is JobState.COMPLETE
    assert encoder.calls == calls


def test_a_job_on_an_empty_gallery_is_complete_at_once(uri: str, encoder: FakeEncoder) -> None:
    with open_gallery(uri, make_upgrade()) as gallery:
        status = Backfill(gallery, encoder).run()
        assert (status.state, status.coverage, status.items) == (JobState.COMPLETE, 1.0, 0)


def test_there_is_nothing_to_resume_before_the_start(
    gallery: Gallery, encoder: FakeEncoder
) -> None:
    with pytest.raises(GalleryStateError, match="no job to resume"):
        Backfill(gallery, encoder).resume()


def test_a_job_needs_an_encoder_to_run_but_not_to_be_looked_at(gallery: Gallery) -> None:
    job = Backfill(gallery)
    assert job.status().state is JobState.NEW
    with pytest.raises(InvalidInput, match="give the backfill an encoder"):
        job.run()
    with pytest.raises(InvalidInput, match="batch_size is 0"):
        Backfill(gallery, batch_size=0)


def test_another_order_or_seed_is_refused_while_a_job_is_under_way(
    gallery: Gallery, encoder: FakeEncoder
) -> None:
    Backfill(gallery, encoder, seed=3).run(max_items=5)
    for settings in ({"order": "gallery"}, {"seed": 4}):
        with pytest.raises(GalleryStateError, match="'random' with seed 3"):
            Backfill(gallery, encoder, **settings).run()  # type: ignore[arg-type]
    status = Backfill(gallery, encoder).status()
    assert (status.state, status.done) == (JobState.PAUSED, 5)
    assert Backfill(gallery, encoder).run().state is JobState.COMPLETE


def test_old_vectors_are_mapped_before_the_first_item_is_encoded(
    uri: str, world: World, encoder: FakeEncoder
) -> None:
    with open_gallery(uri, make_upgrade(Side.QUERY)) as gallery:
        gallery.upsert(
            range(120), old=world.gallery.old, payload=[{"row": row} for row in range(120)]
        )
        Backfill(gallery).rollback()
        upgrade = make_upgrade(Side.ITEMS)
        gallery = start_gallery(gallery.store, upgrade)
        assert Backfill(gallery).status().state is JobState.PREPARING
        Backfill(gallery, encoder).run(max_items=1)
        assert upgrade.mapped is not None
        assert gallery.store.count(has=upgrade.mapped.name) == 120
        assert len(gallery.search(world.queries.new, 120)[0]) == 120


def test_progress_rises_and_ends_with_the_result(gallery: Gallery, encoder: FakeEncoder) -> None:
    seen: list[JobStatus] = []
    result = Backfill(gallery, encoder, batch_size=10, flush_seconds=0).run(progress=seen.append)
    assert seen[-1] == result
    coverages = [status.coverage for status in seen]
    assert coverages == sorted(coverages) and coverages[-1] == 1.0
    assert seen[0].state is JobState.RUNNING
    assert seen[0].rate is not None and seen[0].rate > 0
    assert seen[0].seconds_left == pytest.approx(seen[0].pending / seen[0].rate)


def test_a_stopped_run_ends_after_its_batch(gallery: Gallery, encoder: FakeEncoder) -> None:
    job = Backfill(gallery, encoder, batch_size=10, flush_seconds=0)
    status = job.run(progress=lambda status: job.stop())
    assert status.state is JobState.PAUSED and 0 < status.done < 120
    assert job.run().state is JobState.COMPLETE


def test_a_job_can_be_paused_through_another_object(gallery: Gallery, encoder: FakeEncoder) -> None:
    job = Backfill(gallery, encoder, batch_size=10, flush_seconds=0)
    status = job.run(progress=lambda status: Backfill(gallery).pause())
    assert status.state is JobState.PAUSED and 0 < status.done < 120
    assert job.resume().state is JobState.COMPLETE


def test_what_needs_a_job_at_rest_is_refused_while_one_is_at_work(
    gallery: Gallery, encoder: FakeEncoder
) -> None:
    inside = threading.Event()
    go_on = threading.Event()

    def slow(items: Sequence[Item]) -> FloatArray:
        inside.set()
        go_on.wait(30)
        return encoder(items)

    first = threading.Thread(target=Backfill(gallery, slow).run)
    first.start()
    inside.wait(30)
    second = Backfill(gallery, encoder)
    assert second.status().state is JobState.RUNNING
    assert second.status().workers == 1
    for refused in (second.rollback, second.finish, second.retry_parked):
        with pytest.raises(JobLocked, match="is at work on this gallery"):
            refused()
    go_on.set()
    first.join()
    assert second.run().state is JobState.COMPLETE


# Items that are written while they are encoded


def meddling(encoder: FakeEncoder, meddle: Any) -> Any:
    """An encoder before whose first call something is written."""
    turns = iter([meddle])

    def encode(items: Sequence[Item]) -> FloatArray:
        rows = encoder(items)
        next(turns, lambda items: None)(items)
        return rows

    return encode


def test_a_user_s_write_beats_a_vector_computed_before_it(
    gallery: Gallery, world: World, encoder: FakeEncoder
) -> None:
    rewritten: list[Any] = []

    def rewrite(items: Sequence[Item]) -> None:
        rewritten.append(items[0].id)
        gallery.upsert(rewritten, old=world.gallery.old[5], payload=[{"row": 5}])

    status = Backfill(gallery, meddling(encoder, rewrite), batch_size=10).run()
    assert (status.state, status.coverage) == (JobState.COMPLETE, 1.0)
    (item,) = gallery.store.get(rewritten, vectors=[gallery.upgrade.stored.name])
    assert item is not None
    fresh = gallery.upgrade.store_new(world.gallery.new[5])[0]
    assert np.allclose(item.vectors[gallery.upgrade.stored.name], fresh, atol=1e-6)
    assert encoder.encoded.count(rewritten[0]) == 2


def test_a_deleted_item_stays_deleted(gallery: Gallery, encoder: FakeEncoder) -> None:
    deleted: list[Any] = []

    def delete(items: Sequence[Item]) -> None:
        deleted.extend(item.id for item in items[:3])
        gallery.delete(deleted)

    status = Backfill(gallery, meddling(encoder, delete), batch_size=10).run()
    assert (status.state, status.items, status.done) == (JobState.COMPLETE, 117, 117)
    assert gallery.store.get(deleted) == [None] * 3


def test_an_item_moved_by_its_user_is_not_encoded(
    gallery: Gallery, world: World, encoder: FakeEncoder
) -> None:
    Backfill(gallery, encoder).run(max_items=1)
    gallery.upsert(range(60), new=world.gallery.new[:60], old=world.gallery.old[:60])
    before = len(encoder.encoded)
    assert Backfill(gallery, encoder).run().state is JobState.COMPLETE
    assert not set(encoder.encoded[before:]) & set(range(60))


def test_items_written_during_the_job_are_moved_too(
    gallery: Gallery, world: World, encoder: FakeEncoder
) -> None:
    def write(items: Sequence[Item]) -> None:
        gallery.upsert(["a", "b"], old=world.gallery.old[:2], payload=[{"row": 0}, {"row": 1}])

    status = Backfill(gallery, meddling(encoder, write)).run()
    assert (status.state, status.items, status.coverage) == (JobState.COMPLETE, 122, 1.0)


def test_a_job_never_chases_its_writer_for_ever(
    gallery: Gallery, world: World, encoder: FakeEncoder
) -> None:
    def encode(items: Sequence[Item]) -> FloatArray:
        gallery.upsert([f"late {encoder.calls}"], old=world.gallery.old[:1], payload=[{"row": 0}])
        return encoder(items)

    job = Backfill(gallery, encode)
    status = job.run()
    assert status.state is JobState.BEHIND
    assert status.coverage == pytest.approx((gallery.count - 1) / gallery.count)
    assert Backfill(gallery, encoder).run().state is JobState.COMPLETE


def test_an_item_rewritten_all_the_time_does_not_hold_the_job_up(
    gallery: Gallery, world: World, encoder: FakeEncoder
) -> None:
    def encode(items: Sequence[Item]) -> FloatArray:
        gallery.upsert([0], old=world.gallery.old[:1], payload=[{"row": 0}])
        return encoder(items)

    status = Backfill(gallery, encode).run()
    assert (status.state, status.pending) == (JobState.BEHIND, 1)
    assert encoder.encoded.count(0) <= 10
    assert Backfill(gallery, encoder).run().state is JobState.COMPLETE


# Encoders that fail


def test_a_poisoned_item_is_parked_and_the_job_goes_on(
    gallery: Gallery, world: World, encoder: FakeEncoder
) -> None:
    bad = FakeEncoder(lambda item: world.gallery.new[item.payload["row"]], poison=[5, 77])
    job = Backfill(gallery, bad, batch_size=10)
    status = job.run()
    assert (status.state, status.done, status.parked) == (JobState.PARKED, 118, 2)
    assert {item.id: item.reason for item in job.parked_items()} == {
        5: "ValueError: item 5 is poisoned",
        77: "ValueError: item 77 is poisoned",
    }
    assert len(answers(gallery, world)[0]) == 120, "parked items are still found"
    with pytest.raises(GalleryStateError, match="2 of 120 items"):
        job.finish()
    calls = bad.calls
    assert job.run().state is JobState.PARKED
    assert bad.calls == calls, "parked items are not tried again by themselves"
    assert job.retry_parked() == 2
    assert Backfill(gallery, encoder).run().state is JobState.COMPLETE


def test_a_parked_item_that_is_mended_is_moved(
    gallery: Gallery, world: World, encoder: FakeEncoder
) -> None:
    bad = FakeEncoder(lambda item: world.gallery.new[item.payload["row"]], poison=[5, 6, 7])
    Backfill(gallery, bad).run()
    gallery.upsert([5], old=world.gallery.old[5], payload=[{"row": 5}])
    gallery.upsert([6], new=world.gallery.new[6], old=world.gallery.old[6])
    gallery.delete([7])
    status = Backfill(gallery, encoder).run()
    assert (status.state, status.parked) == (JobState.COMPLETE, 0)


def test_an_encoder_that_fails_on_everything_stops_the_job_and_parks_nothing(
    gallery: Gallery,
) -> None:
    broken = FakeEncoder(lambda item: np.ones(20, np.float32), poison=range(120))
    job = Backfill(gallery, broken, batch_size=10)
    with pytest.raises(EncoderError, match="all of the first 10 items: ValueError"):
        job.run()
    status = job.status()
    assert (status.state, status.pending, status.parked) == (JobState.PAUSED, 120, 0)
    assert status.last_error is not None and "all of the first 10" in status.last_error


def test_an_encoder_that_dies_on_the_way_stops_the_job_before_it_parks_everything(
    gallery: Gallery, world: World, encoder: FakeEncoder, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("crossfade.backfill.streak._HOPELESS_LATER", 20)
    calls = iter(range(1_000))

    def dying(item: Item) -> np.ndarray[tuple[int], np.dtype[np.float32]]:
        if next(calls) >= 30:
            raise OSError("connection refused")
        return world.gallery.new[item.payload["row"]]

    with pytest.raises(EncoderError, match=r"all of the last 2\d items: OSError"):
        Backfill(gallery, FakeEncoder(dying), batch_size=10).run()
    status = Backfill(gallery, encoder).status()
    assert status.state is JobState.PAUSED
    assert status.parked < 20
    assert status.pending > 60


def test_a_rollback_forgets_the_job_before_it_drops_anything(
    gallery: Gallery, encoder: FakeEncoder, monkeypatch: pytest.MonkeyPatch
) -> None:
    job = Backfill(gallery, encoder)
    job.run()

    def killed(*_: object, **__: object) -> None:
        raise KeyboardInterrupt

    monkeypatch.setattr("crossfade.gallery.lifecycle.settle", killed)
    with pytest.raises(KeyboardInterrupt):
        job.rollback()
    assert job.status().done == 0


def test_an_encoder_of_another_width_stops_the_job(gallery: Gallery, encoder: FakeEncoder) -> None:
    narrow = FakeEncoder(lambda item: np.ones(7, np.float32))
    with pytest.raises(EncoderError, match=r"wanted \(64, 20\)"):
        Backfill(gallery, narrow).run()
    status = Backfill(gallery, encoder).run()
    assert status.state is JobState.COMPLETE and status.last_error is None


def test_an_unreachable_encoder_pauses_the_job_and_loses_nothing(
    gallery: Gallery, world: World, encoder: FakeEncoder
) -> None:
    away = FakeEncoder(lambda item: world.gallery.new[item.payload["row"]], fail_rate=1.0)
    with pytest.raises(EncoderUnavailable):
        Backfill(gallery, away, retry=AT_ONCE).run()
    status = Backfill(gallery).status()
    assert (status.state, status.pending) == (JobState.PAUSED, 120)
    assert Backfill(gallery, encoder).run().state is JobState.COMPLETE


def test_an_unreliable_encoder_is_got_through(gallery: Gallery, world: World) -> None:
    shaky = FakeEncoder(
        lambda item: world.gallery.new[item.payload["row"]], fail_rate=0.3, poison=[9]
    )
    retry = Retry(attempts=50, first_seconds=0.0, cap_seconds=0.0)
    status = Backfill(gallery, shaky, batch_size=8, retry=retry).run()
    assert (status.state, status.parked) == (JobState.PARKED, 1)
    assert len(shaky.encoded) == len(set(shaky.encoded)) == 119


# The two ends


def test_rollback_restores_the_old_system_and_a_new_start_is_possible(
    uri: str, world: World, encoder: FakeEncoder
) -> None:
    upgrade = make_upgrade(Side.ITEMS)
    with open_gallery(uri, upgrade) as gallery:
        gallery.upsert(
            range(120), old=world.gallery.old, payload=[{"row": row} for row in range(120)]
        )
        before = old_answers(gallery, world)
        job = Backfill(gallery, encoder)
        job.run(max_items=50)
        job.rollback()
        assert old_answers(gallery, world) == before
        status = job.status()
        assert (status.state, status.coverage) == (JobState.ROLLED_BACK, 0.0)
        with pytest.raises(GalleryStateError, match="rolled-back"):
            job.run()
        gallery = start_gallery(gallery.store, upgrade)
        assert Backfill(gallery).status().state is JobState.PREPARING
        assert Backfill(gallery, encoder).run().state is JobState.COMPLETE
        assert answers(gallery, world) == plain_new_answers(gallery, world)


def test_finish_ends_the_upgrade(gallery: Gallery, world: World, encoder: FakeEncoder) -> None:
    job = Backfill(gallery, encoder)
    with pytest.raises(GalleryStateError, match="120 of 120 items"):
        job.finish()
    job.run()
    job.finish()
    job.finish()
    assert job.status().state is JobState.FINISHED
    assert answers(gallery, world) == plain_new_answers(gallery, world)
    with pytest.raises(GalleryStateError, match="finished"):
        job.run()
    with pytest.raises(GalleryStateError, match="finished"):
        job.rollback()


def test_a_first_sweep_that_was_cut_off_is_gone_on_with(
    gallery: Gallery, encoder: FakeEncoder
) -> None:
    """All is queued, but the journal was not told that it is all."""
    job = Backfill(gallery, encoder)
    journal = open_journal(gallery.store)
    journal.begin(JobRow(gallery.upgrade.id, "random", 0))
    journal.join("killed", 60)
    journal.begin_sweep("killed")
    scoring = open_order("random", gallery.upgrade, 0)
    assert sweep(gallery, journal, "random", scoring, lambda: False) == 120
    journal.leave("killed")
    status = job.run()
    assert (status.state, status.done) == (JobState.COMPLETE, 120)
