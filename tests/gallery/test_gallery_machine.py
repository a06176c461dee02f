"""Random writes, moves and searches: every answer is the reference's, whatever came before."""

import tempfile
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from hypothesis import HealthCheck, settings
from hypothesis import strategies as st
from hypothesis.stateful import (
    RuleBasedStateMachine,
    initialize,
    invariant,
    rule,
    run_state_machine_as_test,
)

from crossfade.gallery import open_gallery
from crossfade.stores import VectorWrite
from crossfade.testing import Embedded, expected_ids, make_upgrade, make_world
from crossfade.upgrade import Side

WORLD = make_world(items=40, queries=3)
_ids = st.sampled_from([0, 1, 2, -1, "0", "a", "ü"])
_rows = st.integers(0, 39)


def gallery_machine(uri: str | None) -> type[RuleBasedStateMachine]:
    class GalleryMachine(RuleBasedStateMachine):
        @initialize(side=st.sampled_from(list(Side)), rho=st.booleans(), offset=st.booleans())
        def open(self, side: Side, rho: bool, offset: bool) -> None:
            offset = offset and side is Side.ITEMS and not rho
            place = "memory://" if uri is None else f"{uri}/{tempfile.mkdtemp(dir=uri[9:])[-8:]}"
            reference = WORLD.gallery.old[:20]
            self.upgrade = make_upgrade(side, rho=rho, reference_old=reference, offset=offset)
            self.gallery = open_gallery(place, self.upgrade)
            self.items: dict[Any, Embedded] = {}

        @rule(id=_ids, row=_rows, old=st.booleans(), new=st.booleans())
        def upsert(self, id: Any, row: int, old: bool, new: bool) -> None:
            if not old and not new:
                return
            item = Embedded(
                WORLD.gallery.old[row] if old else None, WORLD.gallery.new[row] if new else None
            )
            self.gallery.upsert([id], old=item.old, new=item.new)
            self.items[id] = item

        @rule(id=_ids, row=_rows)
        def move(self, id: Any, row: int) -> None:
            """As the backfill does it."""
            (found,) = self.gallery.store.get([id])
            if found is None:
                return
            vector = self.upgrade.store_new(WORLD.gallery.new[row])[0]
            write = VectorWrite(id, found.version, vector)
            self.gallery.store.set_vectors(self.upgrade.stored.name, [write])
            self.items[id] = Embedded(self.items[id].old, WORLD.gallery.new[row])

        @rule(id=_ids)
        def delete(self, id: Any) -> None:
            assert self.gallery.delete([id]) == (id in self.items)
            self.items.pop(id, None)

        @rule(k=st.integers(1, 9), mode=st.sampled_from(["one-encoder", "two-encoder", "old"]))
        def search(self, k: int, mode: str) -> None:
            new, old = WORLD.queries.new, WORLD.queries.old
            found = self.gallery.search(new, k, query_old=old, mode=mode)
            expected = expected_ids(self.upgrade, self.items, new, old, k, mode)
            assert [[hit.id for hit in hits] for hits in found] == expected
            if mode != "old":
                for hit in found[0]:
                    assert hit.side == ("old" if self.items[hit.id].new is None else "new")

        @invariant()
        def coverage_is_the_share_of_new_items(self) -> None:
            if not hasattr(self, "items"):
                return
            assert self.gallery.count == len(self.items)
            moved = sum(item.new is not None for item in self.items.values())
            share = moved / len(self.items) if self.items else 1.0
            assert self.gallery.coverage == pytest.approx(share)

        def teardown(self) -> None:
            if hasattr(self, "gallery"):
                self.gallery.close()

    return GalleryMachine


def play(uri: str | None, games: int, steps: int) -> None:
    run_state_machine_as_test(  # type: ignore[no-untyped-call]
        gallery_machine(uri),
        settings=settings(
            max_examples=games,
            stateful_step_count=steps,
            deadline=None,
            suppress_health_check=[HealthCheck.too_slow],
        ),
    )


def test_a_gallery_in_memory_answers_as_the_reference() -> None:
    play(None, games=40, steps=30)


def test_a_gallery_on_qdrant_answers_as_the_reference(tmp_path: Path) -> None:
    play(f"qdrant://{tmp_path}", games=5, steps=30)


@pytest.mark.slow
def test_a_gallery_on_qdrant_answers_as_the_reference_in_long_games(tmp_path: Path) -> None:
    play(f"qdrant://{tmp_path}", games=60, steps=60)


def test_equal_embeddings_tie_in_order_of_id(tmp_path: Path) -> None:
    for place in ("memory://", f"qdrant://{tmp_path}/g"):
        with open_gallery(place, make_upgrade()) as gallery:
            ids = [5, -1, "b", "a", 0, 10**12]
            gallery.upsert(ids, new=np.repeat(WORLD.gallery.new[:1], 6, axis=0))
            for k in range(1, 7):
                (hits,) = gallery.search(WORLD.queries.new[0], k)
                assert [hit.id for hit in hits] == [-1, 0, 5, 10**12, "a", "b"][:k]


def test_equal_new_embeddings_tie_at_coverage_1_whatever_else_items_hold() -> None:
    new, old = WORLD.gallery.new, WORLD.gallery.old
    with open_gallery("memory://", make_upgrade(rho=False, reference_old=old[:20])) as gallery:
        gallery.upsert(range(3, 6), new=new[:3], old=old[:3])
        for row in range(3, 40):
            gallery.upsert([2], new=new[row], old=old[row])
            gallery.upsert([1], new=new[row])
            found = gallery.search(
                WORLD.queries.new, 5, query_old=WORLD.queries.old, mode="two-encoder"
            )
            for hits in found:
                alone, both = (hit for hit in hits if hit.id in (1, 2))
                assert (alone.id, both.id) == (1, 2) and alone.score == both.score
