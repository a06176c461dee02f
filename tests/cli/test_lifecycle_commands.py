"""The lifecycle by commands, as a user types them."""

import json
import os
import re
import subprocess
import sys
import time
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from crossfade import QueryRecorder, fit
from crossfade.cli.app import app
from crossfade.operations import status
from crossfade.stores import Draft, open_store
from crossfade.testing import make_upgrade, make_world
from crossfade.upgrade import Side

ITEMS = 120
MODULE = f"""
import os, time
from crossfade.testing import make_world
WORLD = make_world(items={ITEMS}, queries=4)
def embed(items):
    time.sleep(float(os.environ.get("LATENCY", "0")))
    return WORLD.gallery.new[[item.payload["row"] for item in items]]
def picky(items):
    if any(item.id == 5 for item in items):
        raise ValueError("can't read this one")
    return embed(items)
"""
URI = "qdrant://gallery"
START = ("start", URI, "--upgrade", "upgrade", "--encoder", "command_models:embed")
Run = Callable[..., Any]


@dataclass(frozen=True)
class Terminal:
    """A working directory in which commands are run, each a process of its own."""

    folder: Path

    def begin(self, *arguments: str, **environment: str) -> subprocess.Popen[str]:
        return subprocess.Popen(
            [sys.executable, "-c", "from crossfade.cli import main; main()", *arguments],
            cwd=self.folder,
            env=os.environ | environment,
            stdin=subprocess.DEVNULL,
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
            text=True,
        )

    def type(self, *arguments: str, code: int = 0, **environment: str) -> str:
        """Run a command to its end; returns its standard output."""
        with self.begin(*arguments, **environment) as process:
            out, err = process.communicate(timeout=120)
        assert process.returncode == code, (arguments, out, err)
        assert "Traceback" not in err
        return out

    def state(self) -> str:
        return status(URI).state.value


@pytest.fixture
def terminal(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Terminal:
    monkeypatch.chdir(tmp_path)
    world, upgrade = make_world(items=ITEMS, queries=4), make_upgrade(Side.ITEMS)
    (tmp_path / "command_models.py").write_text(MODULE)
    upgrade.save(tmp_path / "upgrade")
    with open_store(URI) as store:
        store.ensure_space(upgrade.source)
        store.put(
            [Draft(row, {"old": world.gallery.old[row]}, {"row": row}) for row in range(ITEMS)]
        )
    np.savez(tmp_path / "q.npz", new=world.queries.new, old=world.queries.old)
    return Terminal(tmp_path)


def wait_until_running(terminal: Terminal) -> None:
    until = time.monotonic() + 60
    while time.monotonic() < until:
        if terminal.state() == "running":
            return
        time.sleep(0.2)
    raise AssertionError("the job did not begin")


def test_start_backfill_pause_from_another_process_resume_and_finish(terminal: Terminal) -> None:
    plan = json.loads(terminal.type(*START, "--dry-run", "--json"))["plan"]
    assert plan["items"] == ITEMS and terminal.state() == "not-started"
    terminal.type(*START, code=2)
    assert terminal.state() == "not-started", "without a terminal nothing is asked, nor done"
    terminal.type(*START, "--yes")
    assert terminal.state() == "preparing"
    with terminal.begin("backfill", URI, "--batch-size", "2", LATENCY="1") as job:
        wait_until_running(terminal)
        terminal.type("finish", URI, "--yes", code=2)
        seen = json.loads(terminal.type("status", URI, "--json"))
        assert re.match(r"process \d+", seen["held_by"])
        assert 0 <= seen["job"]["coverage"] < 1
        terminal.type("audit", URI)
        terminal.type("pause", URI, CROSSFADE_ACTOR="ann")
        out, err = job.communicate(timeout=60)
        assert job.returncode == 0, err
        assert "paused" in out and f"next: crossfade resume {URI}" in out
    assert terminal.state() == "paused"
    terminal.type("resume", URI)
    assert terminal.state() == "complete"
    terminal.type("finish", URI, code=2)
    assert terminal.state() == "complete"
    terminal.type("finish", URI, "--yes")
    assert terminal.state() == "finished"
    entries = json.loads(terminal.type("audit", URI, "--json"))["entries"]
    assert [entry["move"] for entry in entries] == [
        *("start", "prepared", "backfill", "pause", "backfill", "complete", "finish", "finished")
    ]
    assert [entry["actor"] for entry in entries if entry["move"] == "pause"] == ["ann"]


def test_time_for_refits_is_told_beside_the_other_times(terminal: Terminal, run: Run) -> None:
    pairs = make_world(items=ITEMS, queries=4).gallery.without_labels()
    fit(pairs, "refitted_ridge").save(terminal.folder / "upgrade")
    assert "refits, not in these times: at 2%, 5%, 10%," in run(*START, "--dry-run").out
    run(*START, "--yes")
    run("backfill", URI, "--max-items", "48")
    told = run("status", URI).out
    assert re.search(r"left, up to 2 refits on top.*, none with --no-refit", told), told


@pytest.mark.filterwarnings("always:nothing was learned:RuntimeWarning")
def test_a_backfill_learns_from_the_queries_that_are_recorded_for_it(
    terminal: Terminal, run: Run
) -> None:
    items = make_world(items=ITEMS, queries=4).gallery.without_labels()
    asked = np.tile(items.new_rows(), (2, 1))
    asked += np.random.default_rng(0).normal(scale=0.1, size=asked.shape).astype(np.float32)
    fit(items.subset(range(80)), "refitted_kernel").save(terminal.folder / "upgrade")
    assert run(*START, "--yes").code == 0
    refused = run("backfill", URI, "--queries", "q.npz", "--no-refit")
    assert refused.code == 2 and "refit=False leaves that out" in refused.err
    told = run("backfill", URI, "--queries", "recorded", "--max-items", "10").err
    assert "nothing was learned" in told and "recorded holds 0, 200 are the fewest" in told
    assert "recorded queries" not in run("status", URI).out, "nothing is there"
    with QueryRecorder(terminal.folder / "recorded" / "one.npz") as recorder:
        recorder.add(asked)
    told = run("resume", URI, "--queries", "recorded", "--max-items", "10").err
    assert "nothing was learned" not in told
    assert "learned from 240 recorded queries" in run("status", URI).out
    assert json.loads(run("status", URI, "--json").out)["job"]["queries"] == 240
    entries = json.loads(run("audit", URI, "--json").out)["entries"]
    assert [entry["details"]["queries"] for entry in entries if entry["move"] == "refit"] == [240]


def test_start_keeps_where_queries_are_recorded(terminal: Terminal, run: Run) -> None:
    items = make_world(items=ITEMS, queries=4).gallery.without_labels()
    asked = np.tile(items.new_rows(), (2, 1))
    asked += np.random.default_rng(0).normal(scale=0.1, size=asked.shape).astype(np.float32)
    refused = run(*START, "--queries", "recorded", "--dry-run")
    assert refused.code == 2 and "can't learn from queries after it was fitted" in refused.err
    fit(items.subset(range(80)), "refitted_kernel").save(terminal.folder / "upgrade")
    planned = run(*START, "--queries", "recorded", "--dry-run").out
    assert "learns from the queries recorded in recorded" in planned
    assert run(*START, "--queries", "recorded", "--yes").code == 0
    with QueryRecorder(terminal.folder / "recorded" / "one.npz") as recorder:
        recorder.add(asked)
    run("backfill", URI, "--max-items", "10", "--no-refit")
    assert "recorded queries" not in run("status", URI).out
    run("backfill", URI, "--max-items", "10")
    assert "learned from 240 recorded queries" in run("status", URI).out


def test_rollback_gives_the_old_answers_back(terminal: Terminal, run: Run) -> None:
    def typed(*arguments: str, code: int = 0) -> str:
        done = run(*arguments)
        assert done.code == code, done.err
        return str(done.out)

    ask = ("search", URI, "--queries", "q.npz", "-k", "5", "--mode", "old")
    typed(*START, "--yes")
    before = typed(*ask)
    assert len(before.splitlines()) == 20
    typed("backfill", URI, "--max-items", "50")
    assert typed(*ask) == before
    assert "new" in typed("search", URI, "--queries", "q.npz", "-k", "5")
    typed("rollback", URI, code=2)
    typed("rollback", URI, "--yes")
    assert terminal.state() == "rolled-back"
    assert typed(*ask) == before
    typed("backfill", URI, code=2)
    assert terminal.state() == "rolled-back", "nothing but start begins anew"
    typed(*START, "--yes")
    assert terminal.state() == "preparing"


def test_a_job_killed_at_work_is_interrupted_and_goes_on(terminal: Terminal) -> None:
    terminal.type(*START, "--yes")
    with terminal.begin("backfill", URI, "--batch-size", "2", LATENCY="1") as job:
        wait_until_running(terminal)
        job.kill()
        job.communicate()
    assert terminal.state() == "interrupted"
    terminal.type("backfill", URI)
    assert terminal.state() == "complete"


def test_parked_items_end_a_run_with_exit_code_1_and_how_to_retry(
    terminal: Terminal, run: Run
) -> None:
    run(*START[:-1], "command_models:picky", "--yes")
    done = run("backfill", URI)
    assert done.code == 1
    assert "1 parked" in done.out and f"next: crossfade retry-parked {URI}" in done.out
    shown = run("status", URI)
    assert "parked 5: ValueError: can't read this one" in shown.out
    again = run("retry-parked", URI, "--json")
    assert json.loads(again.out) == {"items": 1, "next": f"crossfade backfill {URI}"}


def test_what_stands_in_the_way_of_an_end_is_said_before_anybody_is_asked(
    terminal: Terminal, run: Run
) -> None:
    run(*START[:-1], "command_models:picky", "--yes")
    run("backfill", URI, "--max-items", "20")
    early = run("finish", URI)
    assert "of 120 items are still on the old side" in early.err
    assert f"backfill them first: crossfade backfill {URI}" in early.err
    run("backfill", URI)
    parked = run("finish", URI)
    assert "1 of 120 items are still on the old side" in parked.err
    assert parked.err.endswith(f"crossfade retry-parked {URI}\n"), "a backfill would not help"
    asked = run("rollback", URI)
    assert "Drop all new vectors" in asked.err and "--yes" in asked.err
    with open_store(URI) as store:
        store.put([Draft(5, {}, {"row": 5})])
    lost = run("rollback", URI)
    assert "1 items hold no old embedding" in lost.err and "--yes" not in lost.err
    assert terminal.state() == "parked", "nothing was done"


def test_the_audit_log_is_exported_and_a_change_is_named(terminal: Terminal, run: Run) -> None:
    run(*START, "--yes")
    run("backfill", URI, "--max-items", "10")
    assert run("audit", URI, "--export", "audit.jsonl").code == 0
    assert run("audit", "audit.jsonl").code == 0
    assert run("audit", "audit.jsonl", "--against", URI).code == 0
    path = terminal.folder / "audit.jsonl"
    lines = path.read_text().splitlines(keepends=True)
    path.write_text("".join([*lines[:1], lines[1].replace("started", "running"), *lines[2:]]))
    changed = run("audit", "audit.jsonl", "--json")
    assert changed.code == 1
    assert json.loads(changed.out)["bad_line"] == 2
    assert "line 2:" in changed.err
    path.write_text("".join(lines[:-1]))
    assert run("audit", "audit.jsonl").code == 0
    assert run("audit", "audit.jsonl", "--against", URI).code == 1
    assert run("audit", "audit.jsonl", "--export", "x").code == 2
    assert run("audit", URI, "--head", "0").code == 2
    assert run("audit", "nothing.jsonl").code == 2


@pytest.mark.parametrize(
    "arguments",
    [
        ("status", "qdrant://nothing"),
        ("status", "gallery"),
        ("backfill", URI),
        ("pause", URI),
        ("resume", URI),
        ("retry-parked", URI),
        ("rollback", URI, "--yes"),
        ("finish", URI, "--yes"),
        ("search", URI, "--queries", "q.npz"),
        ("attach", URI, "--old-vector", "embedding"),
        ("detach", URI),
        ("audit", "qdrant://nothing"),
        (*START[:-1], "nowhere:embed", "--yes"),
        ("start", URI, "--upgrade", "nothing", "--encoder", "command_models:embed", "--yes"),
    ],
    ids=" ".join,
)
def test_what_can_not_be_done_is_one_line_and_exit_code_2(
    terminal: Terminal, run: Run, arguments: tuple[str, ...]
) -> None:
    refused = run(*arguments)
    assert refused.code == 2
    assert refused.err.startswith("error: ") and len(refused.err.splitlines()) == 1
    assert not (terminal.folder / "nothing").exists()


def test_credentials_in_a_uri_are_not_shown(terminal: Terminal, run: Run) -> None:
    for uri in ("nosuch://me:s3cret@host/db", "postgresql://me:s3cret@127.0.0.1:1/db?table=t"):
        for command in ("status", "backfill", "audit", "pause"):
            refused = run(command, uri)
            assert refused.code == 2
            assert "s3cret" not in refused.err + refused.out


def test_every_command_of_the_lifecycle_has_help_with_an_example(run: Run) -> None:
    page = (Path(__file__).parents[2] / "docs" / "lifecycle.md").read_text(encoding="utf-8")
    names = [
        *("attach", "start", "backfill", "status", "pause", "resume", "retry-parked"),
        *("rollback", "finish", "search", "audit", "detach"),
    ]
    assert {command.name or command.callback.__name__ for command in app.registered_commands} >= {
        *names
    }
    for name in names:
        shown = run(name, "--help")
        assert shown.code == 0
        assert f"crossfade {name}" in shown.out and "Example" in shown.out, name
        assert "Exit codes" in shown.out and "--json" in shown.out, name
        assert f"crossfade {name}" in page, name
