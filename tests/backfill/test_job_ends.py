"""The two ends of a job: the old system again, or the new one for good."""

import threading
from collections.abc import Sequence

import pytest
from answers import answers, old_answers, plain_new_answers

from crossfade.backfill import Backfill, JobState
from crossfade.embeddings import FloatArray
from crossfade.errors import GalleryStateError, JobLocked
from crossfade.gallery import Gallery, open_gallery, start_gallery
from crossfade.stores import Item
from crossfade.testing import FakeEncoder, World, make_upgrade
from crossfade.upgrade import Side


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


def test_a_rollback_forgets_the_job_before_it_drops_anything(
    gallery: Gallery, encoder: FakeEncoder, monkeypatch: pytest.MonkeyPatch
) -> None:
    job = Backfill(gallery, encoder)
    job.run()

    def killed(*_: object, **__: object) -> None:
        raise KeyboardInterrupt

    monkeypatch.setattr("crossfade.gallery.ends.settle", killed)
    with pytest.raises(KeyboardInterrupt):
        job.rollback()
    assert job.status().done == 0
