"""Encoders that fail: on an item, on everything, or for a while."""

import numpy as np
import pytest
from answers import answers

from crossfade.backfill import Backfill, JobState, Retry
from crossfade.errors import EncoderError, EncoderUnavailable, GalleryStateError
from crossfade.gallery import Gallery
from crossfade.stores import Item
from crossfade.testing import FakeEncoder, World

AT_ONCE = Retry(attempts=3, first_seconds=0.0, cap_seconds=0.0)


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
