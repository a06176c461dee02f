"""Writers in other processes, at the worst moment: each gallery here has its own connections."""

import itertools
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from typing import Any

import pytest

from crossfade.errors import GalleryStateError
from crossfade.gallery import Gallery, Phase, open_gallery
from crossfade.gallery.ends import finish, roll_back
from crossfade.gallery.opening import start_gallery
from crossfade.stores import open_store
from crossfade.testing import PostgresServer, World, make_upgrade
from crossfade.upgrade import Side

TABLES = itertools.count()
UPGRADE = make_upgrade(Side.ITEMS)


@dataclass
class Both:
    """One gallery, open in what might be two processes."""

    ours: Gallery
    others: Gallery


@pytest.fixture
def both(postgres: PostgresServer, world: World) -> Iterator[Both]:
    uri = postgres.uri(table=f"others_{next(TABLES)}")
    with open_gallery(uri, UPGRADE) as ours, open_gallery(uri, UPGRADE) as others:
        ours.upsert(range(20), old=world.gallery.old[:20], new=world.gallery.new[:20])
        yield Both(ours, others)


def before(gallery: Gallery, method: str, act: Callable[[], Any], call: int = 1) -> None:
    """Let something happen just before the n-th call of a method of the gallery's store."""
    original, calls = getattr(gallery.store, method), itertools.count(1)

    def meddled(*given: Any, **named: Any) -> Any:
        if next(calls) == call:
            act()
        return original(*given, **named)

    setattr(gallery.store, method, meddled)


def ids(gallery: Gallery, world: World, **how: Any) -> list[Any]:
    (hits,) = gallery.search(world.queries.new[0], 100, **how)
    return sorted(hit.id for hit in hits)


def test_an_item_that_another_process_moves_back_between_two_searches_is_found(
    both: Both, world: World
) -> None:
    before(both.ours, "search", lambda: both.others.upsert([3], old=world.gallery.old[3]), call=2)
    assert ids(both.ours, world) == list(range(20))


def test_a_writer_that_has_not_heard_of_the_finish_writes_nothing(both: Both, world: World) -> None:
    before(both.others, "put_if", lambda: finish(both.ours))
    with pytest.raises(GalleryStateError, match="finished"):
        both.others.upsert([3, 99], old=world.gallery.old[:2])
    assert both.ours.state.phase is Phase.FINISHED
    assert ids(both.ours, world) == list(range(20))


def test_a_finish_is_taken_back_for_an_item_written_at_the_last_moment(
    both: Both, world: World
) -> None:
    before(
        both.ours,
        "swap_pointer",
        lambda: both.others.upsert([99], old=world.gallery.old[:1]),
        call=2,  # the first keeps a line of the log
    )
    with pytest.raises(GalleryStateError, match="at the last moment"):
        finish(both.ours)
    assert both.ours.state.phase is Phase.SERVING
    assert ids(both.ours, world) == [*range(20), 99]
    both.others.delete([99])
    finish(both.ours)
    assert both.ours.state.phase is Phase.FINISHED


def test_a_rollback_is_taken_back_for_an_item_written_at_the_last_moment(
    both: Both, world: World
) -> None:
    before(
        both.ours,
        "swap_pointer",
        lambda: both.others.upsert([99], new=world.gallery.new[:1]),
        call=2,
    )
    with pytest.raises(GalleryStateError, match="at the last moment"):
        roll_back(both.ours)
    assert ids(both.ours, world) == [*range(20), 99]
    both.others.upsert([99], old=world.gallery.old[:1])
    roll_back(both.ours)
    assert both.ours.state.phase is Phase.ROLLED_BACK


@pytest.mark.parametrize("scheme", ["memory", "postgresql"])
def test_a_writer_writes_on_while_the_upgrade_is_started_again(
    postgres: PostgresServer, world: World, scheme: str
) -> None:
    """The phase says which vectors to give; there must be room for them by then."""
    uri = "memory://" if scheme == "memory" else postgres.uri(table=f"others_{next(TABLES)}")
    with open_store(uri) as store:
        gallery = open_gallery(store, UPGRADE)
        gallery.upsert(range(20), old=world.gallery.old[:20])
        roll_back(gallery)
        original = store.swap_pointer

        def swapped(*given: Any) -> bool:
            done = original(*given)
            gallery.upsert([99], old=world.gallery.old[:1])
            return done

        store.swap_pointer = swapped  # type: ignore[method-assign]
        start_gallery(store, UPGRADE).prepare()
        assert ids(gallery, world) == [*range(20), 99]
