"""Re-extraction on demand: a search moves its own best candidates before its answer."""

import logging
import threading
import time
from collections.abc import Callable, Iterator, Sequence
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from crossfade.embeddings import FloatArray
from crossfade.errors import EncoderMisconfigured, InvalidInput, SpaceMismatch
from crossfade.gallery import Gallery, open_gallery
from crossfade.gallery.ends import roll_back
from crossfade.stores import Id, Item
from crossfade.testing import (
    Embedded,
    World,
    encoder_of,
    expected_candidates,
    expected_ids,
    fill,
    make_upgrade,
    upgrade_of,
)
from crossfade.upgrade import Side

Filled = tuple[Gallery, dict[Id, Embedded]]


@pytest.fixture
def gallery(uri: str, world: World) -> Iterator[Gallery]:
    with open_gallery(uri, upgrade_of(world), encoder=encoder_of(world)) as gallery:
        fill(gallery, world)
        yield gallery


def moved_ids(gallery: Gallery, ids: Sequence[Id] = tuple(range(240))) -> set[Id]:
    space = gallery.upgrade.stored.name
    found = gallery.store.get(ids, vectors=[space])
    return {item.id for item in found if item is not None and space in item.vectors}


@pytest.mark.parametrize("side", [Side.QUERY, Side.ITEMS])
@pytest.mark.parametrize(
    ("mode", "both_views"),
    [("one-encoder", False), ("one-encoder", True), ("two-encoder", True)],
)
def test_the_answer_is_that_of_a_gallery_whose_candidates_are_backfilled(
    uri: str, world: World, side: Side, mode: str, both_views: bool
) -> None:
    upgrade = upgrade_of(world, side)
    encoder = encoder_of(world)
    with open_gallery(uri, upgrade, encoder=encoder) as gallery:
        items = fill(gallery, world, moved=60)
        for row in range(3):
            new, old = world.queries.new[row], world.queries.old[row]
            given = old if both_views else None
            moving = expected_candidates(upgrade, items, new, given, 9)
            for id in moving:
                items[id] = Embedded(items[id].old, world.gallery.new[int(id)])
            (hits,) = gallery.search(new, 20, query_old=given, mode=mode, reextract=9)
            assert [hit.id for hit in hits] == expected_ids(upgrade, items, new, old, 20, mode)[0]
            assert moved_ids(gallery) == {id for id, item in items.items() if item.new is not None}
        assert len(encoder.encoded) == 27, "nothing is embedded twice"


def test_the_vectors_written_are_those_of_the_new_model(gallery: Gallery, world: World) -> None:
    gallery.search(world.queries.new[0], reextract=12)
    ids = sorted(moved_ids(gallery), key=int)
    assert len(ids) == 12
    space = gallery.upgrade.stored.name
    written = [item.vectors[space] for item in gallery.store.get(ids, vectors=[space]) if item]
    wanted = gallery.upgrade.store_new(world.gallery.new[[int(id) for id in ids]])
    np.testing.assert_allclose(np.stack(written), wanted, atol=1e-6)


def test_several_queries_move_the_candidates_of_each(gallery: Gallery, world: World) -> None:
    alone: set[Id] = set()
    for row in range(4):
        items = {id: Embedded(world.gallery.old[id]) for id in range(240)}
        alone |= set(expected_candidates(gallery.upgrade, items, world.queries.new[row], None, 5))
    gallery.search(world.queries.new[:4], reextract=5)
    assert moved_ids(gallery) == alone


def test_only_items_that_pass_the_filter_are_moved(gallery: Gallery, world: World) -> None:
    gallery.search(
        world.queries.new[0], query_old=world.queries.old[0], filter={"label": 3}, reextract=10
    )
    assert {int(world.gallery.labels[id]) for id in moved_ids(gallery)} == {3}
    assert len(moved_ids(gallery)) == 10


def test_searches_end_at_the_new_model_and_then_ask_for_nothing(uri: str, world: World) -> None:
    encoder = encoder_of(world)
    with open_gallery(uri, upgrade_of(world), encoder=encoder) as gallery:
        fill(gallery, world)
        gallery.search(world.queries.new[0], reextract=1000)
        assert gallery.coverage == 1.0
        calls = encoder.calls
        gallery.search(world.queries.new[1], reextract=1000)
        assert encoder.calls == calls


def test_what_is_moved_stays_moved_when_the_gallery_is_opened_again(
    world: World, tmp_path: Path
) -> None:
    uri = f"qdrant://{tmp_path}/kept"
    with open_gallery(uri, upgrade_of(world), encoder=encoder_of(world)) as gallery:
        fill(gallery, world)
        gallery.search(world.queries.new[0], reextract=7)
        before = moved_ids(gallery)
    with open_gallery(uri, upgrade_of(world)) as gallery:
        assert moved_ids(gallery) == before and len(before) == 7


class Meddling:
    """An encoder in whose calls something else happens."""

    def __init__(self, world: World, meddle: Callable[[Sequence[Item]], Any]) -> None:
        self._encoder = encoder_of(world)
        self.meddle = meddle

    def __call__(self, items: Sequence[Item], /) -> FloatArray:
        self.meddle(items)
        return self._encoder(items)


def test_a_users_write_that_comes_between_wins(uri: str, world: World) -> None:
    encoder = Meddling(world, lambda _: None)
    with open_gallery(uri, upgrade_of(world), encoder=encoder) as gallery:
        fill(gallery, world)

        def rewrite(items: Sequence[Item]) -> None:
            first = items[0].id
            gallery.upsert([first], old=world.gallery.old[99], payload=[{"row": 99, "by": "user"}])

        encoder.meddle = rewrite
        (hits,) = gallery.search(world.queries.new[0], 240, reextract=6)
        (mine,) = [hit for hit in hits if hit.payload.get("by") == "user"]
        assert mine.side == "old" and len(moved_ids(gallery)) == 5
        encoder.meddle = lambda _: None
        gallery.search(world.queries.new[0], reextract=240)
        space = gallery.upgrade.stored.name
        (item,) = gallery.store.get([mine.id], vectors=[space])
        assert item is not None
        new = gallery.upgrade.store_new(world.gallery.new[99:100])[0]
        np.testing.assert_allclose(item.vectors[space], new, atol=1e-6)


def test_an_item_deleted_while_it_is_embedded_stays_deleted(uri: str, world: World) -> None:
    encoder = Meddling(world, lambda _: None)
    with open_gallery(uri, upgrade_of(world), encoder=encoder) as gallery:
        fill(gallery, world)
        gone: list[Id] = []

        def delete(items: Sequence[Item]) -> None:
            gone.extend(item.id for item in items[:2])
            gallery.delete(gone)

        encoder.meddle = delete
        (hits,) = gallery.search(world.queries.new[0], 240, reextract=6)
        assert not {hit.id for hit in hits} & set(gone)
        assert gallery.count == 238 and gallery.store.get(gone) == [None, None]


def test_a_rollback_decided_meanwhile_wins(uri: str, world: World) -> None:
    encoder = Meddling(world, lambda _: None)
    with open_gallery(uri, upgrade_of(world), encoder=encoder) as gallery:
        fill(gallery, world)
        encoder.meddle = lambda _: roll_back(gallery)
        with pytest.raises(Exception, match="rolled back"):
            gallery.search(world.queries.new[0], reextract=6)
        assert gallery.upgrade.stored.name not in gallery.store.spaces()


def test_the_time_limit_holds_and_the_rest_is_moved_behind_the_answer(
    uri: str, world: World
) -> None:
    released = threading.Event()
    encoder = Meddling(world, lambda _: released.wait(60.0))
    with open_gallery(uri, upgrade_of(world), encoder=encoder) as gallery:
        items = fill(gallery, world)
        new, old = world.queries.new[0], world.queries.old[0]
        estimates = expected_ids(gallery.upgrade, items, new, old, 20)[0]
        started = time.monotonic()
        (hits,) = gallery.search(new, 20, reextract=20, budget_ms=50)
        assert 0.05 <= time.monotonic() - started < 10.0
        assert [hit.id for hit in hits] == estimates and {hit.side for hit in hits} == {"old"}
        assert not gallery.drain(0.0)
        released.set()
        assert gallery.drain(30.0)
        assert moved_ids(gallery) == set(expected_candidates(gallery.upgrade, items, new, None, 20))


def test_the_best_candidates_are_ready_first(uri: str, world: World) -> None:
    """Batches are small where time is short; here the second one is not ready in time."""
    calls, released = [0], threading.Event()

    def hold_the_second(items: Sequence[Item]) -> None:
        calls[0] += 1
        if calls[0] > 1:
            released.wait(60.0)

    encoder = Meddling(world, hold_the_second)
    with open_gallery(uri, upgrade_of(world), encoder=encoder) as gallery:
        items = fill(gallery, world)
        new = world.queries.new[0]
        (hits,) = gallery.search(new, 240, reextract=20, budget_ms=1500)
        in_time = {hit.id for hit in hits if hit.side == "new"}
        released.set()
        assert in_time == set(expected_candidates(gallery.upgrade, items, new, None, 8))


def test_searches_that_want_the_same_items_embed_them_once(uri: str, world: World) -> None:
    encoder = encoder_of(world, latency_seconds=0.1)
    with open_gallery(uri, upgrade_of(world), encoder=encoder) as gallery:
        fill(gallery, world)
        # All of them are candidates of any query.
        searches = [
            threading.Thread(target=gallery.search, args=(query, 5), kwargs={"reextract": 240})
            for query in world.queries.new[:3]
        ]
        for thread in searches:
            thread.start()
        for thread in searches:
            thread.join()
        assert sorted(encoder.encoded, key=int) == list(range(240))


@pytest.mark.parametrize("failure", ["poison", "away", "nonsense", "limited"])
def test_a_failing_encoder_fails_no_search(
    world: World, failure: str, caplog: pytest.LogCaptureFixture
) -> None:
    dials: dict[str, dict[str, Any]] = {
        "poison": {"poison": range(240)},
        "away": {"fail_rate": 1.0},
        "nonsense": {},
        "limited": {"items_a_second": 0.001},
    }
    encoder: Any = encoder_of(world, **dials[failure])
    used = (lambda items: "nonsense") if failure == "nonsense" else encoder
    with open_gallery(f"memory://failing-{failure}", upgrade_of(world), encoder=used) as gallery:
        items = fill(gallery, world)
        if failure == "limited":
            encoder([next(iter(gallery.store.get([0])))])
        with caplog.at_level(logging.WARNING, "crossfade"):
            (hits,) = gallery.search(world.queries.new[0], 20, reextract=5)
        new, old = world.queries.new[0], world.queries.old[0]
        assert [hit.id for hit in hits] == expected_ids(gallery.upgrade, items, new, old, 20)[0]
        assert "estimate" in caplog.text and gallery.coverage == 0.0
        calls = encoder.calls
        gallery.search(world.queries.new[0], 20, reextract=5)
        assert encoder.calls == calls, "neither bad items nor a dead encoder are tried at once"


def test_bad_items_keep_their_estimates_and_the_others_are_moved(uri: str, world: World) -> None:
    upgrade = upgrade_of(world)
    items = {id: Embedded(world.gallery.old[id]) for id in range(240)}
    best = sorted(expected_candidates(upgrade, items, world.queries.new[0], None, 10), key=int)
    with open_gallery(uri, upgrade, encoder=encoder_of(world, poison=best[:3])) as gallery:
        fill(gallery, world)
        gallery.search(world.queries.new[0], reextract=10)
        assert moved_ids(gallery) == set(best[3:])
        gallery.upsert([best[0]], old=world.gallery.old[[best[0]]], payload=[{"row": 0}])
        gallery.use_encoder(encoder_of(world))
        gallery.search(world.queries.new[0], reextract=10)
        assert best[0] in moved_ids(gallery), "another encoder may read what the first could not"


@pytest.mark.parametrize("side", [Side.QUERY, Side.NONE])
def test_without_a_rule_for_two_encoders_candidates_are_those_of_the_mode(
    world: World, side: Side
) -> None:
    upgrade = make_upgrade(side)
    new, old = world.queries.new[0], world.queries.old[0]
    searched = upgrade.old_side(new, old).search_query[0]
    with open_gallery(f"memory://no-rule-{side}", upgrade, encoder=encoder_of(world)) as gallery:
        fill(gallery, world)
        gallery.search(new, 5, query_old=old, reextract=6)
        moved = moved_ids(gallery)
    assert moved == set(np.argsort(-(world.gallery.old @ searched))[:6].tolist())


def test_closing_gives_up_what_waits(world: World) -> None:
    encoder = encoder_of(world, latency_seconds=0.2)
    gallery = open_gallery("memory://closing", upgrade_of(world), encoder=encoder)
    fill(gallery, world)
    gallery.search(world.queries.new[0], reextract=200, budget_ms=0)
    started = time.monotonic()
    gallery.close()
    gallery.close()
    assert time.monotonic() - started < 4.0 and encoder.calls <= 2


@pytest.mark.parametrize(
    ("asked", "words"),
    [
        ({"reextract": -1}, "reextract is -1"),
        ({"reextract": 2.5}, "reextract is 2.5"),
        ({"reextract_later": True}, "reextract_later is True"),
        ({"reextract_later": 3}, "needs a job"),
        ({"budget_ms": 10}, "give reextract"),
        ({"within": 10}, "give reextract"),
        ({"reextract": 3, "within": 0}, "within is 0"),
        ({"reextract": 3, "within": True}, "within is True"),
        ({"reextract": 3, "budget_ms": float("nan")}, "budget_ms is nan"),
        ({"reextract": 3, "mode": "old"}, "mode 'old'"),
        ({"reextract": 3, "query_old": np.ones((3, 12), np.float32)}, "has 3 rows"),
    ],
)
def test_demands_that_can_not_be_met_are_refused(
    world: World, asked: dict[str, Any], words: str
) -> None:
    name = f"memory://refused-{words}"
    with open_gallery(name, upgrade_of(world), encoder=encoder_of(world)) as gallery:
        fill(gallery, world)
        with pytest.raises(InvalidInput, match=words):
            gallery.search(world.queries.new[0], 5, **asked)
        assert gallery.coverage == 0.0


def test_without_an_encoder_nothing_is_re_extracted(world: World) -> None:
    with (
        open_gallery("memory://no-encoder", upgrade_of(world)) as gallery,
        pytest.raises(InvalidInput, match=r"encoder=\.\.\."),
    ):
        gallery.search(world.queries.new[0], reextract=3)


def test_another_model_is_refused(world: World) -> None:
    upgrade = upgrade_of(world)
    with pytest.raises(SpaceMismatch, match="7-d"):
        open_gallery("memory://width", upgrade, encoder=encoder_of(world, dim=7))
    with open_gallery("memory://model", upgrade, encoder=encoder_of(world, name="a")) as gallery:
        fill(gallery, world)
        gallery.search(world.queries.new[0], reextract=3)
        gallery.use_encoder(encoder_of(world, name="b"))
        with pytest.raises(EncoderMisconfigured, match="began with the model a"):
            gallery.search(world.queries.new[0], reextract=3)
