"""Items that are written while the job encodes them."""

from collections.abc import Sequence
from typing import Any

import numpy as np
import pytest

from crossfade.backfill import Backfill, JobState
from crossfade.embeddings import FloatArray
from crossfade.gallery import Gallery
from crossfade.stores import Item
from crossfade.testing import FakeEncoder, World


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
