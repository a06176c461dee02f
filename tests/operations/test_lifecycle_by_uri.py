"""The lifecycle by URI alone: each operation, what it refuses, and what it leaves in the log."""

import json
import shutil
import threading
import time
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from crossfade import operations
from crossfade.backfill import JobState
from crossfade.errors import (
    ArtifactError,
    DataFileError,
    EncoderMisconfigured,
    GalleryStateError,
    InvalidInput,
    SpaceMismatch,
)
from crossfade.gallery import State, open_gallery
from crossfade.operations import Pace
from crossfade.stores import open_store
from crossfade.testing import PostgresServer, make_upgrade


def moves(uri: str) -> list[str]:
    return [json.loads(line)["move"] for line in operations.read_audit(uri)]


def query_file(site: Any) -> Path:
    path = site.folder / "q.npz"
    np.savez(path, new=site.world.queries.new, old=site.world.queries.old)
    return Path(path)


def answers_in_mode_old(site: Any) -> list[list[tuple[Any, float]]]:
    found = operations.search(site.uri, query_file(site), 20, mode="old")
    return [[(hit.id, hit.score) for hit in hits] for hits in found.values()]


def test_a_whole_lifecycle_needs_the_uri_only(site: Any) -> None:
    uri = site.uri
    assert operations.status(uri).state is State.NOT_STARTED
    started = operations.start(site.request())
    assert started.state is State.PREPARING
    assert (started.encoder, started.new_model) == ("lifecycle_models:embed", "the new model")
    first = operations.backfill(uri, Pace(max_items=25))
    assert (first.state, first.done, first.order, first.seed) == (JobState.PAUSED, 25, "random", 3)
    seen = operations.status(uri)
    assert (seen.state, seen.next) == (State.PAUSED, f"crossfade resume {uri}")
    assert seen.job is not None and seen.job.coverage == pytest.approx(25 / 60)
    assert operations.backfill(uri, move="resume").state is JobState.COMPLETE
    found = operations.search(uri, query_file(site), 3)
    assert [hit.side for hits in found.values() for hit in hits] == ["new"] * 12
    assert operations.finish(uri).state is State.FINISHED
    with open_store(uri) as store:
        assert set(store.spaces()) == {site.upgrade.stored.name}
    assert moves(uri) == [
        *("start", "prepared", "backfill", "pause", "backfill", "complete", "finish", "finished")
    ]
    assert operations.verify_audit(uri).whole


def test_the_old_system_answers_alike_before_during_and_after(site: Any) -> None:
    before = site.old_answers()
    operations.start(site.request())
    assert answers_in_mode_old(site) == before
    operations.backfill(site.uri, Pace(max_items=25))
    assert answers_in_mode_old(site) == before
    operations.backfill(site.uri)
    assert answers_in_mode_old(site) == before
    assert operations.roll_back(site.uri).state is State.ROLLED_BACK
    assert answers_in_mode_old(site) == before
    assert site.old_answers() == before
    with pytest.raises(GalleryStateError, match="start"):
        operations.search(site.uri, query_file(site))
    assert operations.start(site.request()).state is State.PREPARING
    assert operations.backfill(site.uri).state is JobState.COMPLETE


def test_rollback_and_finish_need_no_upgrade_folder(site: Any) -> None:
    operations.start(site.request())
    operations.backfill(site.uri)
    shutil.rmtree(site.folder / "upgrade")
    (site.folder / "lifecycle_models.py").unlink()
    assert operations.status(site.uri).state is State.COMPLETE
    assert operations.roll_back(site.uri).state is State.ROLLED_BACK


def test_parked_items_are_reported_and_tried_again(site: Any) -> None:
    operations.start(site.request(encoder="lifecycle_models:picky"))
    assert operations.backfill(site.uri).state is JobState.PARKED
    seen = operations.status(site.uri)
    assert (seen.state, seen.next) == (State.PARKED, f"crossfade retry-parked {site.uri}")
    reasons = {item.id: item.reason for item in seen.parked_items}
    assert reasons == dict.fromkeys((5, 7), "ValueError: can't read this one")
    with pytest.raises(GalleryStateError, match="2 of 60 items"):
        operations.finish(site.uri)
    assert operations.retry_parked(site.uri) == 2
    assert operations.status(site.uri).state is State.PAUSED
    assert operations.retry_parked(site.uri) == 0
    done = operations.backfill(site.uri, encoder="lifecycle_models:embed")
    assert done.state is JobState.COMPLETE
    assert "retry-parked" in moves(site.uri)


def test_what_is_not_allowed_now_names_the_next_command(site: Any) -> None:
    uri = site.uri

    def refused(*names: str) -> None:
        calls: dict[str, Any] = {
            "backfill": lambda: operations.backfill(uri),
            "resume": lambda: operations.backfill(uri, move="resume"),
            "pause": lambda: operations.pause(uri),
            "retry-parked": lambda: operations.retry_parked(uri),
            "rollback": lambda: operations.roll_back(uri),
            "finish": lambda: operations.finish(uri),
            "detach": lambda: operations.detach(uri),
            "attach": lambda: operations.attach(uri, old_vector="old"),
        }
        before = moves(uri)
        for name in names:
            with pytest.raises(
                GalleryStateError, match=r"(allowed now|was started).*crossfade \w+"
            ):
                calls[name]()
        assert moves(uri) == before

    refused("backfill", "resume", "pause", "retry-parked", "rollback", "finish", "detach")
    operations.start(site.request())
    refused("resume", "pause", "retry-parked", "finish", "detach", "attach")
    operations.backfill(uri)
    refused("resume", "pause", "retry-parked", "detach", "attach")
    operations.roll_back(uri)
    refused("backfill", "resume", "pause", "retry-parked", "rollback", "finish", "attach")


def test_a_job_that_was_killed_is_seen_as_interrupted_and_goes_on(site: Any) -> None:
    from crossfade.backfill.journal import open_journal

    operations.start(site.request())
    operations.backfill(site.uri, Pace(max_items=10))
    with open_store(site.uri) as store:
        open_journal(store).set_state(State.RUNNING)
    assert operations.status(site.uri).state is State.INTERRUPTED
    with pytest.raises(GalleryStateError, match="the gallery is interrupted"):
        operations.start(site.request())
    with pytest.raises(GalleryStateError, match="the gallery is interrupted"):
        operations.plan_start(site.request())
    assert operations.backfill(site.uri, move="resume").state is JobState.COMPLETE


def test_another_model_or_upgrade_than_at_the_start_is_refused(site: Any) -> None:
    operations.start(site.request())
    with pytest.raises(EncoderMisconfigured, match="another model"):
        operations.backfill(site.uri, encoder="lifecycle_models:other")
    make_upgrade(seed=8).save(site.folder / "elsewhere")
    with pytest.raises(GalleryStateError, match="fitted anew"):
        operations.backfill(site.uri, upgrade=site.folder / "elsewhere")
    shutil.move(site.folder / "upgrade", site.folder / "moved")
    with pytest.raises(ArtifactError, match="upgrade is not there; if it was moved: --upgrade DIR"):
        operations.backfill(site.uri)
    moved = operations.backfill(site.uri, upgrade=site.folder / "moved")
    assert moved.state is JobState.COMPLETE


def test_an_upgrade_started_by_a_program_says_what_is_missing(site: Any) -> None:
    open_gallery(site.uri, site.upgrade).close()
    with pytest.raises(GalleryStateError, match="--upgrade DIR, and of a backfill --encoder SPEC"):
        operations.backfill(site.uri)
    told = operations.status(site.uri).next
    assert told == f"crossfade backfill {site.uri} --upgrade DIR --encoder SPEC"
    with pytest.raises(GalleryStateError, match="--encoder SPEC"):
        operations.backfill(site.uri, upgrade=site.folder / "upgrade")
    done = operations.backfill(
        site.uri, upgrade=site.folder / "upgrade", encoder="lifecycle_models:embed"
    )
    assert done.state is JobState.COMPLETE


def test_a_collection_of_ours_is_attached_by_the_name_of_its_space(site: Any) -> None:
    with pytest.raises(SpaceMismatch, match=r"\['old'\]"):
        operations.attach(site.uri, old_vector="embedding")
    with pytest.raises(InvalidInput, match="--space"):
        operations.attach(site.uri, old_vector="old", space="minilm")
    assert operations.attach(site.uri, old_vector="old").state is State.ATTACHED
    with pytest.raises(GalleryStateError, match="attached already"):
        operations.attach(site.uri, old_vector="old")
    operations.detach(site.uri, export=site.folder / "audit.jsonl")
    assert operations.verify_file(site.folder / "audit.jsonl", against=site.uri).whole
    assert operations.status(site.uri).state is State.NOT_STARTED
    assert operations.start(site.request()).state is State.PREPARING
    assert moves(site.uri) == ["attach", "detach", "start"]


def test_a_table_is_attached_upgraded_rolled_back_and_detached(
    build: Any, world: Any, postgres: PostgresServer, monkeypatch: pytest.MonkeyPatch
) -> None:
    import psycopg

    uri = postgres.uri(table="lifecycle_items")
    with pytest.raises(InvalidInput):
        operations.status(uri)
    with psycopg.connect(uri.partition("?")[0]) as connection:
        connection.execute("CREATE EXTENSION IF NOT EXISTS vector")
        connection.execute(
            "CREATE TABLE lifecycle_items (id bigint PRIMARY KEY, row int, embedding vector(12))"
        )
        for row in range(60):
            values = (row, row, str(world.gallery.old[row].tolist()))
            connection.execute("INSERT INTO lifecycle_items VALUES (%s, %s, %s)", values)
        columns = (
            "SELECT column_name FROM information_schema.columns "
            "WHERE table_name = 'lifecycle_items' ORDER BY 1"
        )
        before = connection.execute(columns).fetchall()
    with pytest.raises(InvalidInput, match="--id"):
        operations.attach(uri, old_vector="embedding")
    attached = operations.attach(uri, old_vector="embedding", id="id", space="old")
    assert attached.state is State.ATTACHED
    upgrade = make_upgrade("items")
    upgrade.save(Path("upgrade"))
    site = build("memory://")
    request = operations.StartRequest(uri, site.folder / "upgrade", "lifecycle_models:embed")
    operations.start(request)
    with pytest.raises(GalleryStateError, match="detach"):
        operations.detach(uri)
    assert operations.backfill(uri, Pace(max_items=20)).state is JobState.PAUSED
    seen = operations.status(uri)
    assert seen.state is State.PAUSED and seen.job is not None and seen.job.done == 20
    monkeypatch.setenv("LATENCY", "0.5")
    job = threading.Thread(target=operations.backfill, args=(uri, Pace(batch_size=2)))
    job.start()
    while operations.status(uri).state is not State.RUNNING:
        time.sleep(0.05)
    assert operations.pause(uri, actor="ann").state is State.PAUSED
    job.join()
    assert moves(uri)[-2:] == ["backfill", "pause"]
    assert json.loads(operations.read_audit(uri)[-1])["actor"] == "ann"
    monkeypatch.setenv("LATENCY", "0")
    assert operations.backfill(uri, move="resume").state is JobState.COMPLETE
    assert operations.roll_back(uri).state is State.ROLLED_BACK
    operations.detach(uri, export=site.folder / "audit.jsonl")
    assert operations.verify_file(site.folder / "audit.jsonl").whole
    assert (
        postgres.uri(table="x").partition("?")[0] not in (site.folder / "audit.jsonl").read_text()
    )
    with psycopg.connect(uri.partition("?")[0]) as connection:
        assert connection.execute(columns).fetchall() == before
        assert connection.execute("SELECT count(*) FROM lifecycle_items").fetchone() == (60,)


@pytest.mark.parametrize("content", [b"", b"no zip", b"PK\x03\x04broken"])
def test_a_query_file_that_is_none_is_refused(site: Any, content: bytes) -> None:
    path = site.folder / "bad.npz"
    path.write_bytes(content)
    with pytest.raises(DataFileError):
        operations.search(site.uri, path)
    np.savez(path, other=np.ones((2, 20)))
    with pytest.raises(DataFileError, match="wanted new, old, or both"):
        operations.search(site.uri, path)
    np.savez(path, new=np.ones((3, 20)), ids=["a", "b", "a"])
    with pytest.raises(DataFileError, match="query id 'a' comes twice"):
        operations.search(site.uri, path)


@pytest.mark.parametrize("mode", ["one-encoder", "old"])
def test_arrays_that_the_mode_has_no_use_for_are_checked_too(site: Any, mode: str) -> None:
    operations.start(site.request())
    operations.backfill(site.uri)
    path = site.folder / "q.npz"
    unused, queries = ("old" if mode == "one-encoder" else "new"), site.world.queries
    good = {"new": queries.new, "old": queries.old}
    wrong = {
        "row 1 holds NaN": np.where(np.arange(4)[:, None] == 1, np.nan, good[unused]),
        "has dimension 7, wanted": np.ones((4, 7)),
        "wanted both of the same queries": good[unused][:3],
    }
    for words, rows in wrong.items():
        np.savez(path, **good | {unused: rows})
        with pytest.raises((InvalidInput, DataFileError), match=rf"q\.npz.*{words}"):
            operations.search(site.uri, path, mode=mode)
    np.savez(path, **{name: rows for name, rows in good.items() if name != unused})
    assert len(operations.search(site.uri, path, mode=mode)) == 4


def test_one_query_may_be_given_as_one_row(site: Any) -> None:
    operations.start(site.request())
    operations.backfill(site.uri)
    np.savez(site.folder / "q.npz", new=site.world.queries.new[0])
    assert [*operations.search(site.uri, site.folder / "q.npz", 3)] == ["0"]


def test_an_exported_log_is_checked_to_its_end(site: Any) -> None:
    operations.start(site.request())
    operations.backfill(site.uri, Pace(max_items=5))
    path = site.folder / "audit.jsonl"
    head = operations.export_log(site.uri, path).head
    lines = path.read_bytes().splitlines(keepends=True)
    assert operations.verify_file(path, head=head, against=site.uri).whole

    def bad_line(data: bytes, **known: str) -> int | None:
        path.write_bytes(data)
        return operations.verify_file(path, **known).bad_line

    without_last = b"".join(lines[:-1])
    assert bad_line(without_last) is None, "nothing but the head or the collection tells"
    assert bad_line(without_last, head=head) == len(lines)
    assert bad_line(without_last, against=site.uri) == len(lines)
    assert bad_line(b"".join(lines)[:-1]) == len(lines)
    assert bad_line(b"".join(lines) + b"\n") == len(lines) + 1
    assert bad_line(lines[1] + lines[0] + b"".join(lines[2:])) == 1
    assert bad_line(lines[0] + b"".join(lines[2:])) == 2
    assert bad_line(b"".join(lines).replace(b"paused", b"PAUSED")) is not None
    assert bad_line(b"\xff" + b"".join(lines)) == 1
    assert bad_line(b"") == 1
    with pytest.raises(DataFileError, match="can't be read"):
        operations.verify_file(site.folder / "nothing")
