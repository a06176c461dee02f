"""A gallery that is taught by the queries its service has answered."""

from __future__ import annotations

import json
from collections.abc import Callable
from dataclasses import replace

import numpy as np
import pytest

from crossfade import QueryLog, fit
from crossfade.errors import StoreError
from crossfade.gallery import Gallery, Phase, open_gallery
from crossfade.gallery.ends import finish, roll_back
from crossfade.gallery.generations import kept_maps
from crossfade.gallery.record import Entry, append, read_record
from crossfade.gallery.refit import STEPS, fit_again, is_due, rewrite_mapped, teaches_gallery
from crossfade.gallery.state import GalleryState
from crossfade.stores import Store
from crossfade.testing import ShiftedWorld
from crossfade.upgrade import Upgrade, queries_to_teach, taught_offset

WORLD = ShiftedWorld(0)
ITEMS = 300
GALLERY = WORLD.gallery.subset(range(ITEMS))
UPGRADE = fit(WORLD.fit, "refitted_kernel")
LOG = queries_to_teach(UPGRADE, WORLD.log)
TAUGHT_OFFSET = taught_offset(UPGRADE, LOG, None)
assert TAUGHT_OFFSET is not None
TAUGHT = UPGRADE.with_offset(TAUGHT_OFFSET)


def filled(uri: str, moved: int = 0) -> Gallery:
    gallery = open_gallery(uri, UPGRADE)
    if gallery.count == 0:
        gallery.upsert(GALLERY.ids[moved:], old=GALLERY.old_rows(slice(moved, None)))
        move(gallery, 0, moved)
    return gallery


def move(gallery: Gallery, start: int, end: int) -> None:
    part = slice(start, end)
    if end > start:
        gallery.upsert(GALLERY.ids[part], old=GALLERY.old_rows(part), new=GALLERY.new_rows(part))


class Died(Exception):
    """In the place of a SIGKILL."""


def teach(
    gallery: Gallery,
    queries: QueryLog | None = LOG,
    observe: Callable[[str], None] = lambda _: None,
) -> None:
    """What a run does with queries, and what the next one goes on with."""
    state = gallery.state
    fresh = queries is not None and teaches_gallery(state, gallery.upgrade, len(queries))
    if fresh or queries is None:
        fit_again(gallery.store, gallery.upgrade, gallery.coverage, never, observe, queries=queries)
    fitted = gallery.state.fitted
    if fitted is not None and not fitted.rewritten:
        rewrite_mapped(gallery.store, gallery.applied(), fitted, never, observe)


def never() -> bool:
    return False


def with_moved(upgrade: Upgrade, moved: int) -> Upgrade:
    """Fitted again on items that are backfilled."""
    part = slice(0, moved)
    assert upgrade.refit is not None
    ids = GALLERY.ids[part].tolist()
    extra = upgrade.refit.gather(ids, GALLERY.old_rows(part), GALLERY.new_rows(part), moved)
    assert extra is not None
    again = upgrade.refitted(extra)
    assert again is not None
    return again


def check_answers(gallery: Gallery, by: Upgrade, moved: int) -> None:
    """Each item scores as the upgrade says, in either mode."""
    new, old = WORLD.queries.new_rows(slice(0, 20)), WORLD.queries.old_rows(slice(0, 20))
    mapped, coverage = by.map_items(GALLERY.old_rows()), moved / ITEMS
    assert by.offset is not None
    for mode in ("one-encoder", "two-encoder"):
        side = by.old_side(new, old, mode)
        wanted = side.scores(GALLERY.old_rows(), mapped)
        hubs = by.offset.of_new(GALLERY.new_rows())
        direct = side.lowered(new @ GALLERY.new_rows().T, hubs, coverage)
        if mode == "two-encoder":
            direct = side.backfilled(direct, old @ GALLERY.old_rows().T, coverage)
        wanted[:, :moved] = direct[:, :moved]
        found = gallery.search(new, ITEMS, query_old=old, mode=mode)
        for row, hits in enumerate(found):
            scores = {hit.id: hit.score for hit in hits}
            got = [scores[int(id)] for id in GALLERY.ids]
            np.testing.assert_allclose(got, wanted[row], atol=2e-4)


@pytest.mark.parametrize("moved", [0, 90])
def test_it_maps_and_scores_as_an_upgrade_fitted_with_them(moved: int) -> None:
    with filled("memory://", moved) as gallery:
        check_answers(gallery, UPGRADE, moved)
        teach(gallery)
        fitted = gallery.state.fitted
        assert fitted is not None and fitted.rewritten and fitted.queries == len(LOG)
        check_answers(gallery, with_moved(TAUGHT, moved) if moved else TAUGHT, moved)
        assert GalleryState.from_fields(gallery.state.to_fields()) == gallery.state


def test_what_was_taught_stays_when_the_map_is_fitted_again() -> None:
    with filled("memory://") as gallery:
        teach(gallery)
        move(gallery, 0, 90)
        teach(gallery, None)
        fitted = gallery.state.fitted
        assert fitted is not None and (fitted.number, fitted.queries) == (2, len(LOG))
        check_answers(gallery, with_moved(TAUGHT, 90), 90)


def test_a_refitted_map_stays_when_it_is_taught() -> None:
    with filled("memory://", 90) as gallery:
        teach(gallery, None)
        first = gallery.state.fitted
        assert first is not None and first.queries == 0
        assert "queries" not in gallery.state.to_fields()["fitted"], "as releases before wrote it"
        teach(gallery)
        second = gallery.state.fitted
        assert second is not None and (second.number, second.pairs) == (2, first.pairs)
        check_answers(gallery, with_moved(TAUGHT, 90), 90)


def test_the_same_queries_teach_it_once_and_twice_as_many_again() -> None:
    with filled("memory://") as gallery:
        assert not teaches_gallery(gallery.state, UPGRADE, 199)
        teach(gallery)
        assert not teaches_gallery(gallery.state, UPGRADE, 2 * len(LOG) - 1)
        assert teaches_gallery(gallery.state, UPGRADE, 2 * len(LOG))
        state = gallery.state
        teach(gallery)
        assert gallery.state == state


@pytest.mark.parametrize("step", STEPS)
def test_killed_after_any_step_the_next_run_ends_in_the_same_state(uri: str, step: str) -> None:
    def die(finished: str) -> None:
        if finished == step:
            raise Died

    with filled(uri, 90) as gallery, pytest.raises(Died):
        teach(gallery, observe=die)
    with filled(uri) as gallery:
        new = WORLD.queries.new_rows(slice(0, 3))
        assert len(gallery.search(new, ITEMS)[0]) == ITEMS
        teach(gallery)
        fitted = gallery.state.fitted
        assert fitted is not None and fitted.rewritten and fitted.number == 1
        check_answers(gallery, with_moved(TAUGHT, 90), 90)
        teach(gallery, None)
        assert len(kept_maps(gallery.store)) <= 2


def test_a_second_gallery_of_the_same_store_follows() -> None:
    with filled("memory://taught-twice", 30) as first, filled("memory://taught-twice") as second:
        new = WORLD.queries.new_rows(slice(0, 5))
        before = second.search(new, 20)
        teach(first)
        assert second.search(new, 20) == first.search(new, 20) != before
        second.upsert([77_777], old=GALLERY.old_rows(slice(0, 1)))
        assert UPGRADE.mapped is not None
        (item,) = first.store.get([77_777], vectors=[UPGRADE.mapped.name])
        assert item is not None
        wanted = first.applied().map_items(GALLERY.old_rows(slice(0, 1)))
        assert wanted is not None
        np.testing.assert_allclose(item.vectors[UPGRADE.mapped.name], wanted[0], atol=1e-5)


def test_stopped_while_it_learns_nothing_is_kept_and_it_is_still_to_be_done() -> None:
    with filled("memory://", 90) as gallery:
        steps: list[str] = []
        for left in (1, 5, 100):  # questions whether to stop, after the items are gathered
            asked = [left]

            def stopped() -> bool:
                if "gathered" in steps:
                    asked[0] -= 1  # noqa: B023
                return asked[0] < 0  # noqa: B023

            del steps[:]
            store, coverage = gallery.store, gallery.coverage
            assert fit_again(store, UPGRADE, coverage, stopped, steps.append, queries=LOG) is None
            assert steps == ["gathered"] and not kept_maps(store)
            assert is_due(store, UPGRADE, coverage) and gallery.state.fitted is None


def test_of_two_that_learn_from_the_same_queries_one_does() -> None:
    with filled("memory://", 90) as gallery:
        store, coverage = gallery.store, gallery.coverage

        def another(step: str) -> None:
            if step == "kept":
                teach(gallery)

        assert fit_again(store, UPGRADE, coverage, never, another, queries=LOG) is None
        # A third had asked beforehand, and comes late.
        assert fit_again(store, UPGRADE, coverage, never, lambda _: None, queries=LOG) is None
        fitted = gallery.state.fitted
        assert fitted is not None and (fitted.number, fitted.queries) == (1, len(LOG))


def test_it_gives_way_to_whoever_has_decided_while_it_read(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    with filled("memory://", 90) as gallery:
        teach(gallery)
        present = gallery.state.fitted
        assert present is not None

        def gone(*_: object) -> None:
            raise StoreError("generation 1 is not there any more")

        monkeypatch.setattr("crossfade.gallery.refit.read_map", gone)
        with pytest.raises(StoreError, match="not there any more"):
            fit_again(gallery.store, UPGRADE, 0.3, never, lambda _: None)

        def gone_since(store: Store, _: object) -> None:
            record = read_record(store.read_pointer)
            assert record is not None and record.state is not None
            entry = Entry("refit", record.shown, record.shown, None, {})
            following = replace(record.state, fitted=replace(present, number=3, sha256="other"))
            append(store, record, following, entry)
            raise StoreError("generation 1 is not there any more")

        monkeypatch.setattr("crossfade.gallery.refit.read_map", gone_since)
        assert fit_again(gallery.store, UPGRADE, 0.3, never, lambda _: None) is None


def test_teaching_makes_no_milestone_due_again() -> None:
    with filled("memory://", 90) as gallery:
        teach(gallery, None)
        assert not is_due(gallery.store, UPGRADE, 0.3)
        # By a count of coverage from before.
        fit_again(gallery.store, UPGRADE, 0.01, never, lambda _: None, queries=LOG)
        assert gallery.state.fitted is not None and gallery.state.fitted.queries
        assert not is_due(gallery.store, UPGRADE, 0.3)


def test_a_release_that_knows_nothing_of_it_leaves_the_gallery_alone() -> None:
    with filled("memory://", 90) as gallery:
        forms = []
        for queries in (None, LOG):
            teach(gallery, queries)
            pointer = gallery.store.read_pointer("crossfade.gallery")
            assert pointer is not None
            forms.append(json.loads(pointer)["format"])
        assert forms == [2, 4]


@pytest.mark.parametrize("end", ["rollback", "finish"])
def test_at_its_end_nothing_of_it_is_left(uri: str, end: str) -> None:
    with filled(uri) as gallery:
        teach(gallery)
        assert kept_maps(gallery.store)
        if end == "rollback":
            roll_back(gallery)
        else:
            move(gallery, 0, ITEMS)
            finish(gallery)
        assert gallery.state.fitted is None and not kept_maps(gallery.store)


def test_an_upgrade_that_was_fitted_with_as_many_is_not_taught() -> None:
    state = GalleryState.of(UPGRADE, open_gallery("memory://", UPGRADE).state.phase)
    assert teaches_gallery(state, UPGRADE, len(LOG))
    assert not teaches_gallery(replace(state, phase=Phase.FINISHING), UPGRADE, len(LOG))
    assert not teaches_gallery(state, TAUGHT, len(LOG))
    assert not teaches_gallery(state, UPGRADE.without_refits(), len(LOG))
    assert not teaches_gallery(state, replace(UPGRADE, offset=None), len(LOG))
