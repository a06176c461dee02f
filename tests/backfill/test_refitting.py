"""A job that fits the forward map again on its way."""

import json
import threading
import time
from dataclasses import replace
from datetime import date, datetime
from datetime import time as time_of_day
from pathlib import Path

import crashing_refit
import numpy as np
import pytest

from crossfade.backfill import Backfill, JobState, Throttle
from crossfade.backfill.refitting import Refitting
from crossfade.backfill.throttle import Brake
from crossfade.embeddings import FloatArray
from crossfade.evaluation import evaluate
from crossfade.evaluation.orders import backfill_order
from crossfade.fit.kernel import fit_ridge_to_kernel
from crossfade.fit.ridge import fit_refitted_ridge
from crossfade.fit.settings import FitSettings
from crossfade.gallery import Gallery, open_gallery
from crossfade.gallery.generations import kept_maps
from crossfade.gallery.record import Entry, append, read_log, read_record, verify_log
from crossfade.gallery.refit import STEPS
from crossfade.stores import Item
from crossfade.testing import FakeEncoder, make_world, run_script
from crossfade.upgrade import MILESTONES, Upgrade

SCRIPT = Path(__file__).with_name("crashing_refit.py")
ITEMS, FITTED = 300, 60
WORLD = make_world(items=ITEMS + FITTED, queries=20, noise_old=0.6)
GALLERY = WORLD.gallery.subset(range(ITEMS))
FITTING = WORLD.gallery.subset(range(ITEMS, ITEMS + FITTED))
UPGRADE = fit_refitted_ridge(FITTING, FitSettings())
KERNEL = fit_ridge_to_kernel(FITTING, FitSettings())


def embed(item: Item) -> FloatArray:
    return WORLD.gallery.new[item.payload["row"]]


def filled(uri: str, upgrade: Upgrade = UPGRADE) -> Gallery:
    gallery = open_gallery(uri, upgrade)
    gallery.upsert(GALLERY.ids, old=GALLERY.old, payload=[{"row": row} for row in range(ITEMS)])
    return gallery


def reciprocal_ranks(gallery: Gallery, mode: str) -> list[float]:
    queries = WORLD.queries
    found = gallery.search(queries.new, ITEMS, query_old=queries.old, mode=mode)
    assert queries.labels is not None and GALLERY.labels is not None
    ranks = []
    for label, hits in zip(queries.labels, found, strict=True):
        labels = GALLERY.labels[[int(hit.id) for hit in hits]]
        ranks.append(1 / (1 + int(np.argmax(labels == label))))
    return ranks


@pytest.mark.parametrize("upgrade", [UPGRADE, KERNEL], ids=["ridge", "kernel"])
@pytest.mark.parametrize("mode", ["one-encoder", "two-encoder"])
def test_at_every_coverage_the_gallery_answers_what_the_evaluation_says(
    mode: str, upgrade: Upgrade
) -> None:
    result = evaluate(upgrade, GALLERY, WORLD.queries, order="gallery", mode=mode)
    fixed = evaluate(upgrade, GALLERY, WORLD.queries, order="gallery", mode=mode, refit=False)
    grid = {round(step * ITEMS / 10): step for step in range(11)}
    milestones = {int(np.ceil(at * ITEMS - 1e-9)) for at in MILESTONES}
    moved = 0
    with filled("memory://", upgrade) as gallery:
        job = Backfill(gallery, FakeEncoder(embed), order="gallery")
        for items in sorted(grid.keys() | milestones):
            if items:
                job.run(max_items=items - moved)
            moved = items
            if items in grid:
                wanted = result.metrics["mrr"][grid[items]]
                assert np.mean(reciprocal_ranks(gallery, mode)) == pytest.approx(wanted, abs=1e-6)
    # Which says something: without refits the curve is another.
    assert np.abs(np.subtract(result.metrics["mrr"], fixed.metrics["mrr"])).max() > 0.01


def test_it_can_be_left_out() -> None:
    with filled("memory://") as gallery:
        Backfill(gallery, FakeEncoder(embed), refit=False).run(max_items=100)
        assert gallery.state.fitted is None and not kept_maps(gallery.store)


def test_what_refits_take_is_measured_and_those_to_come_are_told() -> None:
    def slowly(step: str) -> None:
        time.sleep(0.05 if step in STEPS else 0.0)

    with filled("memory://") as gallery:
        job = Backfill(gallery, FakeEncoder(embed), order="gallery", batch_size=5, observe=slowly)
        assert (job.status().refits, job.status().refit_seconds) == (len(MILESTONES), None)
        paused = job.run(max_items=150)
        assert paused.coverage == 0.5
        assert paused.refits == 1, "at 70 %"
        assert paused.generation and paused.refit_seconds is not None
        entries = [json.loads(line) for line in read_log(gallery.store.read_pointer)]
        last = {entry["move"]: entry["details"] for entry in entries}
        took = last["refit"]["seconds"] + last["remap"]["seconds"]
        assert last["refit"]["seconds"] > 0.1 and last["remap"]["seconds"] > 0.05
        assert paused.refit_seconds == pytest.approx(took, abs=0.002)
        left_out = Backfill(gallery, FakeEncoder(embed), refit=False)
        assert left_out.status().refits == 0
        assert job.run().refits == 0


def test_rests_are_no_part_of_what_refits_take() -> None:
    """The job has quiet hours, an hour of them, while it maps items anew."""
    times = iter([time_of_day(12)] * 3 + [time_of_day(22, 30)] * 4)

    def now() -> datetime:
        return datetime.combine(date(2026, 1, 1), next(times, time_of_day(12)))

    def wait(_: float) -> bool:
        time.sleep(0.2)
        return False

    with filled("memory://") as gallery:
        Backfill(gallery, FakeEncoder(embed), refit=False).run(max_items=150)
        brake = Brake(Throttle(quiet_hours="22:00-23:00"), wait, now)
        began = time.monotonic()
        Refitting(gallery, lambda: False, brake, lambda _: None).after_chunk()
        assert next(times, None) is None and time.monotonic() - began > 0.8
        assert gallery.state.fitted is not None and gallery.state.fitted.rewritten
        assert 0 < gallery.state.refit_seconds < 0.6


def test_half_a_refits_time_is_not_told() -> None:
    class Died(Exception):
        pass

    def die(step: str) -> None:
        if step == "decided":
            raise Died

    with filled("memory://") as gallery:
        job = Backfill(gallery, FakeEncoder(embed), observe=die)
        with pytest.raises(Died):
            job.run()
        assert gallery.state.fitted is not None and gallery.state.refit_seconds > 0
        assert job.status().refit_seconds is None


def test_a_gallery_of_a_release_before_has_refits_too() -> None:
    with filled("memory://") as gallery:
        state = gallery.state
        before = replace(state, refits=False)
        record = read_record(gallery.store.read_pointer)
        assert record is not None and state.refits
        entry = Entry("restored", record.shown, record.shown, None, {})
        assert append(gallery.store, record, before, entry) is not None
        job = Backfill(gallery, FakeEncoder(embed))
        assert not gallery.state.refits and job.status().refits == len(MILESTONES)


@pytest.mark.parametrize("refit", [True, False])
def test_some_items_come_first_at_random_only_where_the_map_is_fitted_again(refit: bool) -> None:
    order = "short_mapped_first"
    ordered_by = UPGRADE if refit else UPGRADE.without_refits()
    wanted = GALLERY.ids[backfill_order(order, GALLERY, ordered_by, seed=3)].tolist()
    moved: list[int] = []

    def noted(item: Item) -> FloatArray:
        moved.append(int(item.id))
        return embed(item)

    with filled("memory://") as gallery:
        Backfill(gallery, FakeEncoder(noted), order=order, seed=3, refit=refit).run()
    assert moved == wanted
    shorter = np.argsort(np.linalg.norm(UPGRADE.forward.raw(GALLERY.old_rows()), axis=1))  # type: ignore[union-attr]
    assert (wanted == GALLERY.ids[shorter].tolist()) is not refit
    metrics = [
        evaluate(one, GALLERY, WORLD.queries, order=order, seed=3, refit=False).metrics
        for one in (UPGRADE, UPGRADE.without_refits())
    ]
    assert metrics[0] == metrics[1]


def test_it_rests_when_the_job_does(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("crossfade.backfill.throttle._LOOK_SECONDS", 0.0)
    load = [0.0]

    def observe(step: str) -> None:
        if step == "rewriting":
            load[0] = 2.0
        steps.append(step)

    steps: list[str] = []
    with filled("memory://") as gallery:
        throttle = Throttle(max_load=1.0, load=lambda: load[0])
        job = Backfill(
            gallery,
            FakeEncoder(embed),
            batch_size=8,
            flush_seconds=0.0,
            throttle=throttle,
            observe=observe,
        )
        stopping = threading.Timer(1.5, job.stop)
        stopping.start()
        assert job.run().state is JobState.PAUSED
        stopping.join()
        assert not {"rewriting", "encoded"} & set(steps[steps.index("rewriting") + 1 :])
        assert gallery.state.fitted is not None and not gallery.state.fitted.rewritten
        load[0] = 0.0
        again = Backfill(gallery, FakeEncoder(embed)).run()
        assert again.state is JobState.COMPLETE


def test_status_and_audit_log_tell_of_it() -> None:
    with filled("memory://") as gallery:
        job = Backfill(gallery, FakeEncoder(embed), batch_size=8, flush_seconds=0.0)
        status = job.run(max_items=200)
        assert status.generation >= 2
        log = "\n".join(read_log(gallery.store.read_pointer))
        assert log.count('"refit"') == log.count('"remap"') == status.generation
        assert job.run().state is JobState.COMPLETE
        assert verify_log(gallery.store.read_pointer).whole
        job.finish()
        assert verify_log(gallery.store.read_pointer).whole
        assert job.status().generation == 0


def test_several_workers_fit_it_once_a_milestone() -> None:
    with filled("memory://") as gallery:
        job = Backfill(gallery, FakeEncoder(embed, latency_seconds=0.001), batch_size=4)
        status = job.run(workers=4)
        assert status.state is JobState.COMPLETE
        assert 1 <= status.generation <= len(MILESTONES)
        assert len(kept_maps(gallery.store)) <= 2


@pytest.mark.parametrize(
    ("step", "times"), [("kept", 1), ("decided", 1), ("rewriting", 2), ("decided", 2)]
)
def test_killed_in_the_middle_the_next_run_goes_on(tmp_path: Path, step: str, times: int) -> None:
    uri, world = f"qdrant://{tmp_path}/gallery", crashing_refit.WORLD
    rows = range(crashing_refit.ITEMS)
    upgrade = crashing_refit.upgrade()
    with open_gallery(uri, upgrade) as gallery:
        payload = [{"row": row} for row in rows]
        gallery.upsert(world.gallery.ids[rows], old=world.gallery.old[rows], payload=payload)
    run = run_script(SCRIPT, uri, step, str(times))
    assert run.killed, run.errors
    with open_gallery(uri, upgrade) as gallery:
        hits = gallery.search(world.queries.new[:1], len(rows))[0]
        assert {hit.id for hit in hits} == set(rows)
        Backfill(gallery, FakeEncoder(crashing_refit.embed)).run(max_items=1)
        fitted = gallery.state.fitted
        assert fitted is not None and fitted.rewritten
        check_every_waiting_item_is_mapped_by(gallery, fitted.pairs)


def check_every_waiting_item_is_mapped_by(gallery: Gallery, pairs: int) -> None:
    """By the map in use, which is one fitted on so many of the items that were backfilled."""
    upgrade, applied = gallery.upgrade, gallery.applied()
    assert upgrade.mapped is not None and upgrade.refit is not None
    names = [upgrade.source.name, upgrade.stored.name, upgrade.mapped.name]
    items = gallery.store.scan(n=10_000, vectors=names)
    moved = [item for item in items if upgrade.stored.name in item.vectors]
    waiting = [item for item in items if upgrade.stored.name not in item.vectors]
    assert waiting and pairs - upgrade.refit.moments.n <= len(moved)
    old, mapped = (np.stack([item.vectors[name] for item in waiting]) for name in names[::2])
    np.testing.assert_allclose(mapped, applied.map_items(old), atol=1e-5)
    both = [np.stack([item.vectors[name] for item in moved]) for name in names[:2]]
    extra = upgrade.refit.gather([item.id for item in moved], *both, len(moved))
    assert extra is not None
    again = upgrade.refitted(extra).map_items(old)
    assert again is not None
    # A few items were moved since: about the same map, and not the one that it began with.
    cosines = np.einsum("ij,ij->i", mapped, again)
    began = upgrade.map_items(old)
    assert began is not None
    assert cosines.mean() > np.einsum("ij,ij->i", mapped, began).mean()
