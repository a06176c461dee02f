"""Searches that ask the job for their candidates."""

from collections.abc import Mapping, Sequence

from crossfade.backfill import Backfill, JobState
from crossfade.gallery import Gallery
from crossfade.stores import Id
from crossfade.testing import FakeEncoder, World


def attached(gallery: Gallery, encoder: FakeEncoder) -> Backfill:
    """A job that has moved the first four items."""
    job = Backfill(gallery, encoder, order="gallery", batch_size=4)
    job.attach()
    job.run(max_items=4)
    return job


def test_what_a_search_wants_is_moved_next(
    gallery: Gallery, world: World, encoder: FakeEncoder
) -> None:
    job = attached(gallery, encoder)
    assert encoder.encoded == [0, 1, 2, 3]
    wanted: set[Id] = set()
    prioritise = gallery.on_wanted
    assert prioritise is not None

    def note(places: Sequence[Mapping[Id, int]]) -> None:
        wanted.update(*places)
        prioritise(places)

    gallery.on_wanted = note
    gallery.search(world.queries.new[0], query_old=world.queries.old[0], reextract_later=8)
    assert gallery.drain(10.0) and len(wanted) == 8
    job.run(max_items=8)
    assert set(encoder.encoded[4:]) == wanted
    assert job.run().state is JobState.COMPLETE and len(encoder.encoded) == 120


def test_what_is_wanted_most_goes_first(
    gallery: Gallery, world: World, encoder: FakeEncoder
) -> None:
    job = attached(gallery, encoder)
    want = gallery.on_wanted
    assert want is not None
    want([{50: 1, 60: 2, 70: 9}, {80: 3, 60: 2}])
    want([{70: 1, 90: 4}])
    want([{70: 1, 0: 2, "unknown": 3}])
    assert job.prioritise([110]) == 1, "what is asked for by hand comes before it"
    job.run(max_items=7)
    assert encoder.encoded[4:10] == [110, 70, 50, 60, 80, 90]
    # Another process counts for itself.
    Backfill(gallery, encoder).attach()
    gallery.on_wanted([{100: 1}])
    job.run(max_items=1)
    assert encoder.encoded[-1] == 100


def test_the_job_does_not_embed_again_what_a_search_has_moved(
    gallery: Gallery, world: World, encoder: FakeEncoder
) -> None:
    job = Backfill(gallery, encoder, batch_size=8)
    job.run(max_items=16)
    gallery.use_encoder(encoder)
    gallery.search(world.queries.new, reextract=10)
    assert job.run().state is JobState.COMPLETE
    assert sorted(encoder.encoded, key=int) == list(range(120))


def test_a_parked_item_that_a_search_can_move_is_parked_no_more(
    gallery: Gallery, world: World, encoder: FakeEncoder
) -> None:
    bad = FakeEncoder(lambda item: world.gallery.new[item.payload["row"]], poison=[5])
    job = Backfill(gallery, bad)
    assert job.run().state is JobState.PARKED
    gallery.use_encoder(encoder)
    gallery.search(world.queries.new[0], reextract=10)
    assert gallery.coverage == 1.0 and job.run().state is JobState.COMPLETE
