"""A gallery whose forward map is fitted again: decided at once, rewritten in place."""

from collections.abc import Callable
from dataclasses import replace
from typing import Any

import numpy as np
import pytest

from crossfade import testing
from crossfade.embeddings import Pairs
from crossfade.errors import StoreError
from crossfade.fit.api import fit
from crossfade.fit.kernel import fit_ridge_to_kernel, kernel_of_pairs
from crossfade.fit.refitting import corrected_later
from crossfade.fit.ridge import fit_forward_ridge, fit_refitted_ridge
from crossfade.fit.settings import FitSettings
from crossfade.gallery import Gallery, Phase, open_gallery, start_gallery
from crossfade.gallery.ends import finish, roll_back
from crossfade.gallery.generations import forget_maps, kept_maps
from crossfade.gallery.refit import STEPS, fit_again, is_due, rewrite_mapped
from crossfade.gallery.state import GalleryState, MapGeneration
from crossfade.stores import Id, open_store
from crossfade.stores.memory import MemoryStore
from crossfade.testing import Embedded, World, encoder_of, expected_candidates
from crossfade.upgrade import Affine, Upgrade

Opener = Callable[[Upgrade], Gallery]
N, MOVED = 200, 60


def fit_corrected(pairs: Pairs, settings: FitSettings) -> Upgrade:
    """A map that is wrong in one way, which backfilled items show."""
    wrong = Pairs.of(pairs.ids, pairs.old, -pairs.new[:, ::-1])
    return corrected_later(fit_forward_ridge(wrong, settings), pairs)


def fit_corrected_kernel(pairs: Pairs, settings: FitSettings) -> Upgrade:
    """The same of a kernel map that stays, as one of very many pairs does."""
    wrong = Pairs.of(pairs.ids, pairs.old, -pairs.new[:, ::-1])
    linear = fit_forward_ridge(wrong, settings)
    assert linear.forward is not None and isinstance(linear.forward.skip, Affine)
    kernel = kernel_of_pairs(wrong, linear.forward.skip, seed=0, most_landmarks=20)
    return corrected_later(replace(linear, forward=linear.forward.with_kernel(kernel)), pairs)


FITS = [fit_refitted_ridge, fit_ridge_to_kernel, fit_corrected, fit_corrected_kernel]


@pytest.fixture(scope="module", params=FITS)
def upgrade(world: World, request: pytest.FixtureRequest) -> Upgrade:
    """Fitted on forty items that the gallery does not hold."""
    fitted: Upgrade = request.param(world.gallery.subset(range(N, 240)), FitSettings())
    return fitted


def fill(gallery: Gallery, world: World, moved: int = MOVED) -> dict[Id, Embedded]:
    part = World(world.gallery.subset(range(N)), world.queries)
    return testing.fill(gallery, part, moved)


class Died(Exception):
    """In the place of a SIGKILL."""


def dying_after(step: str) -> Callable[[str], None]:
    def observe(finished: str) -> None:
        if finished == step:
            raise Died

    return observe


def refit(gallery: Gallery, observe: Callable[[str], None] = lambda _: None) -> None:
    """What a run does when it passes a milestone, and what the next one goes on with."""
    if is_due(gallery.store, gallery.upgrade, gallery.coverage):
        fit_again(gallery.store, gallery.upgrade, gallery.coverage, never, observe)
    fitted = gallery.state.fitted
    if fitted is not None and not fitted.rewritten:
        rewrite_mapped(gallery.store, gallery.applied(), fitted, never, observe)


def never() -> bool:
    return False


def wanted(upgrade: Upgrade, world: World, moved: int = MOVED) -> Upgrade:
    backfilled = world.gallery.subset(range(moved))
    assert upgrade.refit is not None
    ids = backfilled.ids.tolist()
    extra = upgrade.refit.gather(ids, backfilled.old, backfilled.new, moved)
    assert extra is not None
    again = upgrade.refitted(extra)
    assert again is not None
    return again


def check_mapped(gallery: Gallery, upgrade: Upgrade, by: Upgrade) -> None:
    """All items that wait hold the mapped vector by that map."""
    assert upgrade.mapped is not None
    names = [upgrade.source.name, upgrade.mapped.name]
    waiting = gallery.store.scan(n=1000, lacks=upgrade.stored.name, vectors=names)
    assert waiting
    old, mapped = (np.stack([item.vectors[name] for item in waiting]) for name in names)
    np.testing.assert_allclose(mapped, by.map_items(old), atol=1e-5)


def test_waiting_items_are_mapped_anew_and_scores_read_by_the_new_map(
    opened: Opener, world: World, upgrade: Upgrade
) -> None:
    gallery = opened(upgrade)
    fill(gallery, world)
    refit(gallery)
    fitted = gallery.state.fitted
    assert fitted is not None and fitted.rewritten
    assert (fitted.number, fitted.pairs) == (1, 40 + MOVED)
    again = wanted(upgrade, world)
    check_mapped(gallery, upgrade, again)
    queries = again.old_side(world.queries.new, world.queries.old, "two-encoder")
    waiting = world.gallery.subset(range(MOVED, N))
    scores = queries.scores(waiting.old, again.map_items(waiting.old))
    for row, hits in enumerate(
        gallery.search(world.queries.new, N, query_old=world.queries.old, mode="two-encoder")
    ):
        found = {hit.id: hit.score for hit in hits if hit.side == "old"}
        assert len(found) == len(waiting)
        got = [found[int(id)] for id in waiting.ids]
        np.testing.assert_allclose(got, scores[row], atol=1e-4)


def test_a_milestone_is_looked_at_once(opened: Opener, world: World, upgrade: Upgrade) -> None:
    gallery = opened(upgrade)
    fill(gallery, world, moved=0)
    assert not is_due(gallery.store, upgrade, gallery.coverage)
    fill(gallery, world)
    assert is_due(gallery.store, upgrade, gallery.coverage)
    refit(gallery)
    assert not is_due(gallery.store, upgrade, gallery.coverage)
    assert is_due(gallery.store, upgrade, 0.35) and not is_due(gallery.store, upgrade, 1.0)


def check_none_made(gallery: Gallery, world: World) -> None:
    """A milestone is passed and looked at, and the map stays what it is."""
    fill(gallery, world)
    refit(gallery)
    assert gallery.state.fitted is None
    assert not is_due(gallery.store, gallery.upgrade, gallery.coverage)
    assert not kept_maps(gallery.store)


def test_items_that_were_fitted_on_make_no_new_generation(opened: Opener, world: World) -> None:
    own = fit_refitted_ridge(world.gallery.subset(range(N)), FitSettings())
    check_none_made(opened(own), world)


def test_items_that_show_nothing_new_make_no_new_generation(
    opened: Opener, world: World, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("crossfade.upgrade.refit.correcting_kernel", lambda *_: None)
    right = fit_corrected(world.gallery.subset(range(N, 240)), FitSettings())
    check_none_made(opened(right), world)


@pytest.mark.parametrize("step", STEPS)
def test_killed_after_any_step_the_next_run_ends_in_the_same_state(
    opened: Opener, world: World, upgrade: Upgrade, step: str
) -> None:
    gallery = opened(upgrade)
    fill(gallery, world)
    with pytest.raises(Died):
        refit(gallery, dying_after(step))
    gallery = opened(upgrade)
    assert len(gallery.search(world.queries.new, N)[0]) == N
    refit(gallery)
    assert gallery.state.fitted is not None and gallery.state.fitted.rewritten
    assert gallery.state.fitted.number == 1
    check_mapped(gallery, upgrade, wanted(upgrade, world))


def test_what_is_written_in_the_middle_is_by_the_new_map(
    opened: Opener, world: World, upgrade: Upgrade
) -> None:
    gallery = opened(upgrade)
    fill(gallery, world)
    other = world.gallery.subset(range(N, N + 5))

    def write(step: str) -> None:
        if step == "decided":
            gallery.upsert(other.ids, old=other.old)

    refit(gallery, write)
    check_mapped(gallery, upgrade, wanted(upgrade, world))
    gallery.upsert(other.ids, old=other.old[::-1])
    check_mapped(gallery, upgrade, wanted(upgrade, world))


def test_an_item_rewritten_in_the_middle_keeps_what_the_user_wrote(
    world: World, upgrade: Upgrade
) -> None:
    with open_gallery("memory://", upgrade) as gallery:
        fill(gallery, world)
        scan = gallery.store.scan

        def scan_then_write(**arguments: Any) -> Any:
            batch = scan(**arguments)
            if "lacks" in arguments and batch:
                gallery.upsert([150], old=world.gallery.old[7:8])
            return batch

        gallery.store.scan = scan_then_write  # type: ignore[method-assign]
        refit(gallery)
        gallery.store.scan = scan  # type: ignore[method-assign]
        check_mapped(gallery, upgrade, wanted(upgrade, world))


def test_the_map_in_use_names_what_a_search_re_extracts(world: World, upgrade: Upgrade) -> None:
    """Not the upgrade's own, which would name others."""
    uri, encoder = f"memory://named-{upgrade.method}-{upgrade.id}", encoder_of(world)
    with open_gallery(uri, upgrade, encoder=encoder) as gallery:
        items = fill(gallery, world)
        refit(gallery)
        new, old = world.queries.new, world.queries.old
        named, others = (
            [expected_candidates(by, items, new[row], old[row], 20) for row in range(5)]
            for by in (gallery.applied(), upgrade)
        )
        assert named != others
        for row, ids in enumerate(named):
            gallery.search(new[row], query_old=old[row], reextract=20)
            assert set(encoder.encoded) >= set(ids)


def test_without_the_map_in_use_nothing_is_moved(world: World, upgrade: Upgrade) -> None:
    uri, encoder = f"memory://lost-{upgrade.method}-{upgrade.id}", encoder_of(world)
    with open_gallery(uri, upgrade) as gallery:
        fill(gallery, world)
        refit(gallery)
        forget_maps(gallery.store, kept_maps(gallery.store))
    with (
        open_gallery(uri, upgrade, encoder=encoder) as gallery,
        pytest.raises(StoreError, match="generation 1 of the forward map is not there"),
    ):
        gallery.search(world.queries.new[0], reextract=20)
    assert not encoder.calls


def test_a_second_gallery_of_the_same_store_follows(world: World, upgrade: Upgrade) -> None:
    store = MemoryStore()
    first, second = open_gallery(store, upgrade), open_gallery(store, upgrade)
    fill(first, world)
    query = {"query_old": world.queries.old, "mode": "two-encoder"}
    before = second.search(world.queries.new, 20, **query)
    refit(first)
    after = second.search(world.queries.new, 20, **query)
    assert after == first.search(world.queries.new, 20, **query) != before
    second.upsert([1000], old=world.gallery.old[:1])
    check_mapped(first, upgrade, wanted(upgrade, world))


def test_of_two_that_fit_at_once_one_decides(world: World, upgrade: Upgrade) -> None:
    with open_gallery("memory://", upgrade) as gallery:
        fill(gallery, world)
        store, coverage = gallery.store, gallery.coverage

        def another(step: str) -> None:
            if step == "kept":
                more = world.gallery.subset(range(MOVED, MOVED + 20))
                gallery.upsert(more.ids, old=more.old, new=more.new)
                assert fit_again(store, upgrade, coverage, never, lambda _: None) is not None

        assert fit_again(store, upgrade, coverage, never, another) is None
        assert gallery.state.fitted is not None and gallery.state.fitted.pairs == 40 + MOVED + 20
        refit(gallery)
        check_mapped(gallery, upgrade, wanted(upgrade, world, MOVED + 20))
        # What the loser kept is forgotten when the map is fitted again.
        fill(gallery, world, 150)
        refit(gallery)
        assert len(kept_maps(store)) == 2 and gallery.state.fitted.number == 2
        check_mapped(gallery, upgrade, wanted(upgrade, world, 150))


def test_a_rewrite_gives_way_to_a_later_generation(world: World, upgrade: Upgrade) -> None:
    with open_gallery("memory://", upgrade) as gallery:
        fill(gallery, world)
        with pytest.raises(Died):
            refit(gallery, dying_after("decided"))
        first, by_first = gallery.state.fitted, gallery.applied()
        assert first is not None
        fill(gallery, world, 120)
        refit(gallery)
        assert not rewrite_mapped(gallery.store, by_first, first, never, lambda _: None)
        check_mapped(gallery, upgrade, wanted(upgrade, world, 120))


@pytest.mark.parametrize("decided", [True, False])
def test_rolled_back_and_started_again_it_begins_anew(
    uri: str, world: World, upgrade: Upgrade, decided: bool
) -> None:
    with open_gallery(uri, upgrade) as gallery:
        fill(gallery, world)
        if decided:
            refit(gallery)
        else:
            with pytest.raises(Died):
                refit(gallery, dying_after("kept"))
        assert kept_maps(gallery.store)
        roll_back(gallery)
        assert gallery.state.fitted is None and not kept_maps(gallery.store)
        found = gallery.search(None, N, query_old=world.queries.old, mode="old")
        assert len(found[0]) == N
    with start_gallery(uri, upgrade) as gallery:
        gallery.prepare()
        check_mapped(gallery, upgrade, upgrade)
        fill(gallery, world)
        assert is_due(gallery.store, upgrade, gallery.coverage)


def test_finished_it_leaves_nothing_behind(uri: str, world: World, upgrade: Upgrade) -> None:
    with open_gallery(uri, upgrade) as gallery:
        fill(gallery, world)
        refit(gallery)
        fill(gallery, world, N)
        finish(gallery)
        assert gallery.state.fitted is None and not kept_maps(gallery.store)
        assert gallery.state.phase is Phase.FINISHED
    with open_store(uri) as store:
        assert set(store.spaces()) == {upgrade.stored.name}


def test_a_state_of_releases_before_reads_and_is_written_as_it_was(upgrade: Upgrade) -> None:
    state = GalleryState.of(upgrade, Phase.SERVING)
    assert "fitted" not in state.to_fields()
    assert GalleryState.from_fields(state.to_fields()) == state
    later = replace(state, fitted=MapGeneration(2, 50, "abc", 3))
    assert GalleryState.from_fields(later.to_fields()) == later
    assert later.is_of(upgrade)


def test_a_state_that_says_nothing_of_refits_is_of_an_upgrade_that_has_them(
    upgrade: Upgrade,
) -> None:
    state = replace(GalleryState.of(upgrade, Phase.SERVING), refit_seconds=1.5)
    assert state.refits and GalleryState.from_fields(state.to_fields()) == state
    fields = state.to_fields()
    del fields["refits"], fields["refit_seconds"]  # as releases wrote it before they were kept
    before = GalleryState.from_fields(fields)
    assert not before.refits and before.is_of(upgrade)
    without = GalleryState.of(replace(upgrade, refit=None), Phase.SERVING).to_fields()
    assert not {"refits", "refit_seconds"} & without.keys()


def test_a_refitted_map_with_offsets_maps_and_scores_as_the_simulation(world: World) -> None:
    upgrade = fit(world.gallery.subset(range(N - 30, 240)).without_labels(), "ridge_to_kernel")
    assert upgrade.offset is not None
    with open_gallery("memory://", upgrade) as gallery:
        fill(gallery, world)
        refit(gallery)
        again = wanted(upgrade, world)
        assert gallery.state.fitted is not None and again.offset is upgrade.offset
        check_mapped(gallery, upgrade, again)
        waiting = world.gallery.subset(range(MOVED, N))
        scores = again.old_side(world.queries.new).scores(waiting.old, again.map_items(waiting.old))
        for row, hits in enumerate(gallery.search(world.queries.new, N)):
            found = {hit.id: hit.score for hit in hits if hit.side == "old"}
            got = [found[int(id)] for id in waiting.ids]
            np.testing.assert_allclose(got, scores[row], atol=1e-4)
