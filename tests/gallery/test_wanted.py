"""What searches want moved: told to a job after the answer, and limited to places in it."""

import logging
from collections.abc import Iterator, Mapping, Sequence
from typing import Any

import pytest

from crossfade.gallery import Gallery, open_gallery
from crossfade.stores import Id
from crossfade.testing import (
    Embedded,
    World,
    encoder_of,
    expected_candidates,
    expected_ids,
    fill,
    upgrade_of,
)


@pytest.fixture
def gallery(uri: str, world: World) -> Iterator[Gallery]:
    with open_gallery(uri, upgrade_of(world), encoder=encoder_of(world)) as gallery:
        fill(gallery, world)
        yield gallery


def test_wanted_items_are_told_after_the_answer_the_best_first(
    gallery: Gallery, world: World
) -> None:
    told: list[list[Id]] = []
    gallery.on_wanted = lambda wanted: told.extend(map(list, wanted))
    items = {id: Embedded(world.gallery.old[id]) for id in range(240)}
    new, old = world.queries.new[0], world.queries.old[0]
    (hits,) = gallery.search(new, 20, query_old=old, reextract_later=8)
    assert [hit.id for hit in hits] == expected_ids(gallery.upgrade, items, new, old, 20)[0]
    assert gallery.drain(10.0) and gallery.coverage == 0.0
    assert told == [expected_candidates(gallery.upgrade, items, new, old, 8)]


@pytest.mark.parametrize("both_models", [True, False])
def test_wanted_items_come_with_their_places_in_the_answer(
    uri: str, world: World, both_models: bool
) -> None:
    """Backfilled items take places too, and limit what is wanted."""
    with open_gallery(uri, upgrade_of(world), encoder=encoder_of(world)) as gallery:
        fill(gallery, world, moved=40)
        told: list[dict[Id, int]] = []
        gallery.on_wanted = lambda wanted: told.extend(map(dict, wanted))
        new = world.queries.new[:5]
        query = {"query_old": world.queries.old[:5]} if both_models else {}
        mode = "two-encoder" if both_models else "one-encoder"
        answers = gallery.search(new, 240, mode=mode, reextract_later=8, **query)
        gallery.search(new, 1, reextract_later=8, within=12, **query)
        assert gallery.drain(10.0)
    assert any(told[5:])
    for listed, far, near in zip(answers, told[:5], told[5:], strict=True):
        places = [(hit.id, at) for at, hit in enumerate(listed, 1) if hit.side == "old"]
        if both_models:
            assert list(far.items()) == places[:8]
        else:
            assert list(far) == [id for id, _ in places[:8]]
            assert all(far[id] == at for id, at in places[:8] if at <= 8)
        assert near == {id: at for id, at in far.items() if at <= 12}


@pytest.mark.parametrize("both_models", [True, False])
@pytest.mark.parametrize(("n", "within"), [(2, 20), (5, 150)])
def test_moving_a_few_at_a_time_ends_once_the_best_are_moved(
    gallery: Gallery, world: World, both_models: bool, n: int, within: int
) -> None:
    query = {"query_old": world.queries.old[0]} if both_models else {}
    for _ in range(60):
        gallery.search(world.queries.new[0], reextract=n, within=within, **query)
    before = gallery.coverage
    gallery.search(world.queries.new[0], reextract=n, within=within, **query)
    assert gallery.coverage == before < 1.0


def test_a_query_that_was_asked_before_wants_nothing_more_within_a_place(
    gallery: Gallery, world: World
) -> None:
    for _ in range(20):
        gallery.search(world.queries.new[0], reextract=10, within=10)
    before = gallery.coverage
    gallery.search(world.queries.new[0], reextract=10, within=10)
    assert gallery.coverage == before < 1.0
    assert {hit.side for hit in gallery.search(world.queries.new[0], 10)[0]} == {"new"}


@pytest.mark.parametrize("both_models", [True, False])
def test_the_new_side_is_searched_for_places_alone(
    gallery: Gallery, world: World, both_models: bool, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Beside the answer's own search of it, where all wait; none is left to place at the end.

    Candidates are looked for among those that wait: backfilled ones must not crowd them out.
    """
    searched: list[str] = []
    search, stored = gallery.store.search, gallery.upgrade.stored.name

    def watched(space: str, *args: Any, lacks: str | None = None, **settings: Any) -> Any:
        searched.append(space)
        assert space == stored or lacks == stored
        return search(space, *args, lacks=lacks, **settings)

    def searches(**demand: Any) -> int:
        searched.clear()
        gallery.search(world.queries.new[0], 5, reextract=7, **demand)
        return searched.count(stored)

    monkeypatch.setattr(gallery.store, "search", watched)
    query = {"query_old": world.queries.old[0]} if both_models else {}
    assert searches(**query) == 1
    assert searches(within=9, **query) == 2
    gallery.search(world.queries.new[0], 5, reextract=1000)
    assert gallery.coverage == 1.0 and searches(within=9, **query) == 1


def test_a_job_that_can_not_be_told_fails_no_search(
    gallery: Gallery, world: World, caplog: pytest.LogCaptureFixture
) -> None:
    def refuse(wanted: Sequence[Mapping[Id, int]]) -> None:
        raise OSError("the journal is away")

    gallery.on_wanted = refuse
    with caplog.at_level(logging.WARNING, "crossfade"):
        assert len(gallery.search(world.queries.new[0], 5, reextract_later=3)[0]) == 5
        assert gallery.drain(10.0)
    assert "the journal is away" in caplog.text
