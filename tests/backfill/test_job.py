"""The job, from its start until it is complete, stopped or paused."""

from typing import Any

import numpy as np
import pytest
from answers import answers, old_answers, plain_new_answers

from crossfade.backfill import Backfill, JobState, JobStatus, Scoring, register_order
from crossfade.backfill.journal import JobRow, open_journal
from crossfade.backfill.sweep import sweep
from crossfade.errors import GalleryStateError, InvalidInput
from crossfade.gallery import Gallery, open_gallery, start_gallery
from crossfade.orders import open_order
from crossfade.testing import FakeEncoder, World, make_upgrade
from crossfade.upgrade import Side, Upgrade

RANDOM_BY_SEED_3 = [37, 4, 69, 64, 71, 6]


def test_a_run_moves_every_item_once(gallery: Gallery, world: World, encoder: FakeEncoder) -> None:
    before = old_answers(gallery, world)
    status = Backfill(gallery, encoder, batch_size=7).run()
    assert (status.state, status.coverage) == (JobState.COMPLETE, 1.0)
    assert (status.items, status.done, status.pending, status.parked) == (120, 120, 0, 0)
    assert sorted(encoder.encoded) == list(range(120))
    assert answers(gallery, world) == plain_new_answers(gallery, world)
    assert old_answers(gallery, world) == before
    kept = [item.payload for item in gallery.store.scan(n=200)]
    assert world.gallery.labels is not None
    labels = world.gallery.labels.tolist()
    assert kept == [{"row": row, "label": label} for row, label in enumerate(labels)]


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


def test_what_is_no_encoder_no_throttle_and_no_number_is_refused(gallery: Gallery) -> None:
    spec: Any = "my_models:embed"
    for use in (lambda: Backfill(gallery, spec), lambda: gallery.use_encoder(spec)):
        with pytest.raises(InvalidInput, match=r"encoder is a str.*load_item_encoder\(SPEC\)"):
            use()
    throttle: Any = 200
    with pytest.raises(InvalidInput, match="throttle is of type int, wanted Throttle"):
        Backfill(gallery, throttle=throttle)
    with pytest.raises(InvalidInput, match="max_items is -1, wanted at least 0"):
        Backfill(gallery, FakeEncoder(lambda item: np.ones(20))).run(max_items=-1)
    idle = Backfill(gallery, FakeEncoder(lambda item: np.ones(20))).run(max_items=0)
    assert (idle.state, idle.done) == (JobState.PAUSED, 0)


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
