"""Logs of queries on the command line: fitted with, recorded, and told of where they mislead."""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from crossfade import Pairs, Upgrade

Run = Callable[..., Any]


@pytest.mark.filterwarnings("always::crossfade.fit.api.UnlikeQueriesWarning")
@pytest.mark.filterwarnings("always::crossfade.fit.api.UnusedQueriesWarning")
def test_a_log_of_queries_is_used_and_a_method_without_use_for_it_says_so(
    run: Run, files: Path
) -> None:
    rows = np.random.default_rng(8).normal(size=(300, 32))
    np.savez(files / "log.npz", new=rows[:, :20], old=rows[:, 20:])
    fit = ("fit", files / "fit.npz", "--queries", files / "log.npz", "--method")
    outcome = run(*fit, "forward_ridge", "--out", files / "up", "--json")
    assert outcome.code == 0, outcome.err
    assert json.loads(outcome.out)["report"]["queries_used"] == 300
    assert "no use" not in outcome.err
    assert "times as near to items as items are to one another" in outcome.err, "it is noise"
    offset = Upgrade.load(files / "up").offset
    assert offset is not None and len(offset.bank) == 300
    outcome = run(*fit, "forward_ridge", "--out", files / "again")
    learned = offset.distilled is not None
    taught = "300 teach the map to rank" if learned else "nothing more that holds"
    assert f"300 queries of the log tell which items are hubs, and {taught}" in outcome.out
    outcome = run(*fit, "rank_merge", "--out", files / "plain")
    assert outcome.code == 0 and "rank_merge makes no use of queries" in outcome.err
    pairs = Pairs.load(files / "fit.npz")
    pairs.subset(range(50)).save(files / "few.npz")
    few = ("fit", files / "few.npz", "--queries", files / "log.npz", "--method", "forward_ridge")
    outcome = run(*few, "--out", files / "few")
    assert outcome.code == 0 and "50 pairs are too few to hold any out" in outcome.err


def test_a_log_that_does_not_fit_is_one_clear_error_and_leaves_nothing(
    run: Run, files: Path
) -> None:
    np.savez(files / "log.npz", new=np.ones((300, 7)))
    outcome = run("fit", files / "fit.npz", "--queries", files / "log.npz", "--out", files / "out")
    assert outcome.code == 2
    assert "new embeddings of queries has dimension 7, wanted 20" in outcome.err
    outcome = run("fit", files / "fit.npz", "--queries", files / "no.npz", "--out", files / "out")
    assert outcome.code == 2 and "no.npz can't be read" in outcome.err
    assert not (files / "out").exists()


def test_what_recorded_queries_gain_is_measured_beside_the_upgrade_as_it_is(
    run: Run, files: Path
) -> None:
    rng = np.random.default_rng(0)
    asked = np.tile(np.load(files / "gallery.npz")["new"], (2, 1))
    (files / "recorded").mkdir()
    np.savez(files / "recorded" / "one.npz", new=asked + 0.3 * rng.normal(size=asked.shape))
    measured = ("--gallery", files / "gallery.npz", "--queries", files / "queries.npz")
    logged = ("--recorded", files / "recorded")
    for method in ("refitted_kernel", "forward_ridge"):
        run("fit", files / "fit.npz", "--method", method, "--out", files / method)
    refused = run("evaluate", files / "forward_ridge", *measured, *logged)
    assert refused.code == 2
    assert "'forward_ridge' can't learn from queries after it was fitted" in refused.err
    told = run("evaluate", files / "refitted_kernel", *measured, *logged, "--json")
    results = json.loads(told.out)["methods"]
    plain, taught = (
        results[name]["metrics"]["map"] for name in ("refitted_kernel", "refitted_kernel+recorded")
    )
    assert plain[0] == taught[0] and plain[-1] == taught[-1] and plain != taught
    assert "nothing was learned" not in told.err


def test_recorded_queries_that_teach_nothing_or_are_those_measured_by_are_told(
    run: Run, files: Path
) -> None:
    queries = Pairs.load(files / "queries.npz")
    rng = np.random.default_rng(0)
    asked = np.tile(queries.new_rows(), (8, 1))
    asked[len(queries) :] += 0.3 * rng.normal(size=(len(asked) - len(queries), 20))
    np.savez(files / "asked.npz", new=asked)
    fit = ("fit", files / "fit.npz", "--method", "refitted_kernel", "--out", files / "up")
    assert run(*fit, "--queries", files / "asked.npz").code == 0
    measured = ("--gallery", files / "gallery.npz", "--queries", files / "queries.npz")
    told = run("evaluate", files / "up", *measured, "--recorded", files / "asked.npz").err
    both = f"warning: at least {len(queries)} of {len(queries)} queries are among"
    assert f"{both} the recorded ones" in told
    assert f"{both} those that the upgrade was fitted with" in told
    assert "refitted_kernel+recorded: nothing was learned; the upgrade was fitted with" in told
    compared = run("evaluate", files / "up", *measured, "--compare", "forward_ridge").err
    assert "forward_ridge is fitted without the log of queries" in compared
    np.savez(files / "others.npz", new=asked[len(queries) :] + 0.3)
    told = run("evaluate", files / "up", *measured, "--recorded", files / "others.npz").err
    assert "the recorded ones" not in told
    logged = ("--recorded", files / "others.npz", "--mode", "old")
    assert (
        "nothing was learned; mode old asks"
        in run("evaluate", files / "up", *measured, *logged).err
    )
    narrow = Pairs.of(queries.ids, queries.old_rows(), queries.new_rows()[:, 1:], queries.labels)
    narrow.save(files / "narrow.npz")
    refused = run(*("evaluate", files / "up", *measured[:3]), files / "narrow.npz")
    assert refused.code == 2 and "new embeddings have 19 dimensions" in refused.err
