"""A job that learns from the queries that its service records."""

from __future__ import annotations

import json
import warnings
from pathlib import Path

import numpy as np
import pytest

from crossfade import Backfill, QueryLog, QueryRecorder, evaluate, fit
from crossfade.backfill import JobState
from crossfade.embeddings import FloatArray, unit_rows
from crossfade.errors import CrossfadeError, DataFileError, InvalidInput, SpaceMismatch
from crossfade.gallery import Gallery, open_gallery
from crossfade.gallery.record import read_log
from crossfade.stores import Item
from crossfade.testing import FakeEncoder, ShiftedWorld, encoder_of, make_world, run_script
from crossfade.upgrade import MILESTONES, UnlikeQueriesWarning, Upgrade

SCRIPT = Path(__file__).with_name("crashing_learning.py")
WORLD = ShiftedWorld(0)
ITEMS = len(WORLD.gallery)
UPGRADE, RIDGE = fit(WORLD.fit, "refitted_kernel"), fit(WORLD.fit, "refitted_ridge")
LOGGED = fit(WORLD.fit, "refitted_kernel", queries=WORLD.log.sample(250))


def embed(item: Item) -> FloatArray:
    return WORLD.gallery.new_rows(slice(0, ITEMS))[item.payload["row"]]


def filled(
    uri: str = "memory://", recorder: QueryRecorder | None = None, upgrade: Upgrade = UPGRADE
) -> Gallery:
    gallery = open_gallery(uri, upgrade, recorder=recorder)
    if not gallery.count:
        payload = [{"row": row} for row in range(ITEMS)]
        gallery.upsert(WORLD.gallery.ids, old=WORLD.gallery.old_rows(), payload=payload)
    return gallery


def job_of(gallery: Gallery, **settings: object) -> Backfill:
    settings = {"order": "gallery", "batch_size": 3, "flush_seconds": 0.0, **settings}
    return Backfill(gallery, FakeEncoder(embed), **settings)  # type: ignore[arg-type]


def reciprocal_ranks(gallery: Gallery, mode: str) -> float:
    asked = WORLD.queries
    found = gallery.search(asked.new_rows(), ITEMS, query_old=asked.old_rows(), mode=mode)
    ranks = []
    for id, hits in zip(asked.ids.tolist(), found, strict=True):
        wanted = int(id) - 10_000
        ranks.append(1 / (1 + [hit.id for hit in hits].index(wanted)))
    return float(np.mean(ranks))


@pytest.mark.parametrize("upgrade", [UPGRADE, RIDGE, LOGGED], ids=["kernel", "ridge", "logged"])
@pytest.mark.parametrize("mode", ["one-encoder", "two-encoder"])
def test_at_every_coverage_the_gallery_answers_what_the_evaluation_says(
    mode: str, upgrade: Upgrade, monkeypatch: pytest.MonkeyPatch
) -> None:
    noise = np.random.default_rng(0).normal(scale=0.1, size=WORLD.log.new.shape)
    log = QueryLog(np.concatenate([WORLD.log.new, WORLD.log.new + noise.astype(np.float32)]))
    # A map that keeps none of its pairs waits for so many items.
    monkeypatch.setattr("crossfade.upgrade.teaching._FEWEST_ITEMS", 40)
    asked = {"qrels": WORLD.qrels, "order": "gallery", "mode": mode}
    result = evaluate(upgrade, WORLD.gallery, WORLD.queries, recorded=log, **asked)
    plain = evaluate(upgrade, WORLD.gallery, WORLD.queries, **asked)
    grid = {round(step * ITEMS / 10): step for step in range(11)}
    milestones = sorted({int(np.ceil(at * ITEMS - 1e-9)) for at in MILESTONES})
    moved = 0
    with filled(upgrade=upgrade) as gallery:
        for items in sorted({*grid, *milestones}):
            if items:
                # The simulation's service has recorded them by the first milestone.
                queries = log if items >= milestones[0] else None
                job_of(gallery, queries=queries, batch_size=64).run(max_items=items - moved)
            moved = items
            if items in grid:
                wanted = result.metrics["mrr"][grid[items]]
                assert reciprocal_ranks(gallery, mode) == pytest.approx(wanted, abs=2e-3)
    assert np.abs(np.subtract(result.metrics["mrr"], plain.metrics["mrr"])).max() > 0.005


def test_a_service_teaches_its_own_gallery(tmp_path: Path) -> None:
    """Searches are recorded in one place, the job learns in another, from what is there by then."""
    path = tmp_path / "recorded"
    path.mkdir()
    with QueryRecorder(path / "worker.npz") as recorder, filled(recorder=recorder) as gallery:
        job = job_of(gallery, queries=path)
        assert job.run(max_items=12).queries == 0, "nothing has been asked"
        log = WORLD.log
        assert log.old is not None
        for new, old in zip(log.new, log.old, strict=True):
            gallery.search(new, 3, query_old=old, mode="two-encoder")
        recorder.flush()
        status = job.run(max_items=100)
        assert status.queries == len(log)
        entries = [json.loads(line) for line in read_log(gallery.store.read_pointer)]
        told = [e["details"].get("queries") for e in entries if e["move"] == "refit"]
        assert [queries for queries in told if queries] == [len(log)], "once"
        assert job.run().state is JobState.COMPLETE


def test_a_run_that_is_given_queries_learns_at_once_and_not_at_a_milestone_alone() -> None:
    with filled() as gallery:
        assert job_of(gallery, refit=False).run(max_items=5).queries == 0
        status = job_of(gallery, queries=WORLD.log).run(max_items=3)
        assert status.coverage < MILESTONES[0] and status.queries == len(WORLD.log)
        assert status.generation == 1
        # And only then.
        assert job_of(gallery, queries=WORLD.log).run(max_items=3).generation == 1


def test_a_recorder_itself_will_do(tmp_path: Path) -> None:
    recorder = QueryRecorder(tmp_path / "log.npz")
    with filled() as gallery:
        job = job_of(gallery, queries=recorder)
        assert job.run(max_items=3).queries == 0
        recorder.add(WORLD.log.new)
        assert job.run(max_items=3).queries == len(WORLD.log)


@pytest.mark.parametrize("name", ["log.npz", "folder"])
def test_what_is_not_there_yet_may_come_later(tmp_path: Path, name: str) -> None:
    path = tmp_path / name
    with filled() as gallery:
        job = job_of(gallery, queries=path)
        assert job.run(max_items=3).queries == 0
        if name == "folder":
            path.mkdir()
            assert job.run(max_items=3).queries == 0
            WORLD.log.save(path / "one.npz")
        else:
            WORLD.log.save(path)
        assert job.run(max_items=3).queries == len(WORLD.log)


def test_what_is_damaged_later_costs_the_job_nothing(tmp_path: Path) -> None:
    path = tmp_path / "log.npz"
    WORLD.log.sample(150).save(path)
    with filled() as gallery:
        job = job_of(gallery, queries=path)
        path.write_bytes(path.read_bytes()[:1000])
        with pytest.warns(
            RuntimeWarning, match="nothing is learned from recorded queries.*log.npz"
        ):
            status = job.run()
        assert status.state is JobState.COMPLETE and status.queries == 0


def test_what_is_damaged_is_no_error_where_warnings_are(tmp_path: Path) -> None:
    path = tmp_path / "log.npz"
    with filled() as gallery, warnings.catch_warnings():
        warnings.simplefilter("error")
        job = job_of(gallery, queries=path)
        path.write_bytes(b"PK no archive")
        assert job.run().state is JobState.COMPLETE


def test_nothing_is_learned_from_queries_that_find_nothing_near_and_it_is_said_once() -> None:
    world = make_world(items=300, queries=300, dim_old=48, dim_new=64)
    upgrade = fit(world.gallery.subset(range(200)).without_labels(), "refitted_kernel")
    nonsense = unit_rows(np.random.default_rng(0).normal(size=(300, 64)))
    with open_gallery("memory://", upgrade) as gallery:
        rest = world.gallery.subset(range(200, 300))
        payload = [{"row": row} for row in range(200, 300)]
        gallery.upsert(rest.ids, old=rest.old_rows(), payload=payload)

        def run(queries: FloatArray, items: int) -> int:
            log = QueryLog(queries)
            return (
                Backfill(gallery, encoder_of(world), batch_size=2, queries=log).run(items).queries
            )

        with warnings.catch_warnings():
            warnings.simplefilter("error")
            assert run(nonsense[:150], 10) == 0, "too few to judge"
        with pytest.warns(UnlikeQueriesWarning, match="nothing is learned.*times as near") as told:
            assert run(nonsense, 50) == 0
        assert len(told) == 1
        with warnings.catch_warnings():
            warnings.simplefilter("error")
            assert run(world.queries.new_rows(), 10) == 300


def test_a_path_where_nothing_was_ever_written_is_told_at_the_end(tmp_path: Path) -> None:
    with (
        filled() as gallery,
        pytest.warns(RuntimeWarning, match="typo.npz holds 0") as told,
    ):
        assert job_of(gallery, queries=tmp_path / "typo.npz").run().state is JobState.COMPLETE
    assert len(told) == 1


def test_that_nothing_was_there_hides_no_later_warning_and_is_no_news_of_a_taught_gallery(
    tmp_path: Path,
) -> None:
    path = tmp_path / "log.npz"
    with filled() as gallery:
        job = job_of(gallery, queries=path)
        with pytest.warns(RuntimeWarning, match="holds 0"):
            job.run(10)
        path.write_bytes(b"PK no archive")
        with pytest.warns(RuntimeWarning, match="nothing is learned from recorded queries"):
            job.run(10)
        WORLD.log.save(path)
        assert job_of(gallery, queries=path).run(10).queries == len(WORLD.log)
        path.unlink()
        with warnings.catch_warnings():
            warnings.simplefilter("error")
            assert job_of(gallery, queries=path).run().queries == len(WORLD.log)


def test_queries_that_come_while_it_runs_teach_at_the_next_milestone(tmp_path: Path) -> None:
    path = tmp_path / "log.npz"

    def embed_and_record(item: Item) -> FloatArray:
        if item.payload["row"] == ITEMS * 2 // 3:
            WORLD.log.save(path)
        return embed(item)

    with filled() as gallery:
        encoder = FakeEncoder(embed_and_record, latency_seconds=0.02)
        job = Backfill(gallery, encoder, order="gallery", batch_size=5, queries=path)
        assert job.run().queries == len(WORLD.log)
        entries = [json.loads(line) for line in read_log(gallery.store.read_pointer)]
        refits = [entry["details"] for entry in entries if entry["move"] == "refit"]
        assert len(refits) > 1 and "queries" not in refits[0], "it had begun without"
        assert [details["queries"] for details in refits if "queries" in details] == [300]
        assert refits[-1]["queries"] == 300 and refits[-1]["coverage"] >= MILESTONES[-1]


def test_queries_are_read_at_milestones_alone(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    reads = [0]
    log_now = QueryRecorder.log

    def counted(recorder: QueryRecorder) -> QueryLog | None:
        reads[0] += 1
        return log_now(recorder)

    monkeypatch.setattr(QueryRecorder, "log", counted)
    recorder = QueryRecorder(tmp_path / "log.npz")
    recorder.add(WORLD.log.new[:150])
    with filled() as gallery:
        job_of(gallery, queries=recorder).run(max_items=300)
        # When the job is made, when the run begins, and at each milestone.
        assert reads[0] <= 2 + len(MILESTONES)
        recorder.add(WORLD.log.new)
        job_of(gallery, queries=recorder).run(max_items=30)
        reads[0] = 0
        monkeypatch.setattr("crossfade.upgrade.teaching.MOST_QUERIES", 300)
        monkeypatch.setattr("crossfade.backfill.refitting.MOST_QUERIES", 300)
        job_of(gallery, queries=recorder).run()
        assert reads[0] == 1, "what knows enough reads no more"


def test_where_nothing_waits_nothing_is_learned() -> None:
    with filled() as gallery:
        status = job_of(gallery, queries=WORLD.log, batch_size=1_000).run()
        assert status.state is JobState.COMPLETE and status.queries == 0


def test_the_same_queries_again_are_no_more_queries() -> None:
    few = QueryLog(np.tile(WORLD.log.new[:150], (2, 1)))
    none = QueryLog(np.empty((0, WORLD.log.new.shape[1]), np.float32))
    with filled() as gallery:
        for log in (few, none):
            assert job_of(gallery, queries=log).run(max_items=30).queries == 0


def too_wide(path: Path) -> Path:
    QueryLog(np.ones((300, WORLD.log.new.shape[1] + 1), np.float32)).save(path)
    return path


def damaged(path: Path) -> Path:
    path.write_bytes(b"PK no archive")
    return path


@pytest.mark.parametrize(
    ("queries", "error", "words"),
    [
        (too_wide, SpaceMismatch, "new embeddings of queries"),
        (damaged, DataFileError, "log.npz"),
        (lambda _: "x" * 300, DataFileError, "can't be read"),
        (lambda _: 7, InvalidInput, "queries is a int, wanted a crossfade.QueryLog"),
    ],
)
def test_what_is_wrong_beforehand_is_told_before_anything_moves(
    tmp_path: Path, queries: object, error: type[CrossfadeError], words: str
) -> None:
    assert callable(queries)
    with filled() as gallery:
        with pytest.raises(error, match=words):
            job_of(gallery, queries=queries(tmp_path / "log.npz"))
        assert gallery.coverage == 0.0


def test_a_gallery_that_can_not_be_taught_says_so() -> None:
    ridge = fit(WORLD.fit, "forward_ridge")
    with (
        open_gallery("memory://", ridge) as gallery,
        pytest.raises(InvalidInput, match="by 'forward_ridge' can't learn from queries"),
    ):
        Backfill(gallery, queries=WORLD.log)
    with filled() as gallery, pytest.raises(InvalidInput, match="refit=False leaves that"):
        job_of(gallery, queries=WORLD.log, refit=False)


@pytest.mark.parametrize("step", ["gathered", "kept", "decided", "rewriting"])
def test_killed_while_it_learns_the_next_run_goes_on(tmp_path: Path, step: str) -> None:
    uri, queries = f"qdrant://{tmp_path}/gallery", tmp_path / "log.npz"
    WORLD.log.save(queries)
    filled(uri).close()
    run = run_script(SCRIPT, uri, str(queries), step)
    assert run.killed, run.errors
    with filled(uri) as gallery:
        hits = gallery.search(WORLD.queries.new_rows(slice(0, 1)), ITEMS)[0]
        assert {hit.id for hit in hits} == set(WORLD.gallery.ids.tolist())
        status = job_of(gallery, queries=queries).run(max_items=3)
        assert status.queries == len(WORLD.log) and status.generation == 1
        assert gallery.state.fitted is not None and gallery.state.fitted.rewritten
        assert UPGRADE.mapped is not None
        names = [UPGRADE.source.name, UPGRADE.mapped.name]
        waiting = gallery.store.scan(n=ITEMS, lacks=UPGRADE.stored.name, vectors=names)
        old, mapped = (np.stack([item.vectors[name] for item in waiting]) for name in names)
        np.testing.assert_allclose(mapped, gallery.applied().map_items(old), atol=1e-5)
        assert gallery.applied().offset is not UPGRADE.offset
