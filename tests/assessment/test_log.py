"""Predictions with a log of queries, as `fit` will be given one."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest

from crossfade import Mode, QueryLog, assess, evaluate, fit
from crossfade.assessment import Assessment
from crossfade.errors import InvalidInput, SpaceMismatch
from crossfade.testing import ShiftedWorld

WORLD = ShiftedWorld(1)


def assessed(log: QueryLog | None, method: str = "refitted_kernel", **settings: Any) -> Assessment:
    return assess(
        WORLD.fit,
        WORLD.queries,
        gallery=WORLD.gallery,
        qrels=WORLD.qrels,
        log=log,
        methods=[method],
        **settings,
    )


def area(result: Assessment) -> float:
    (found,) = (
        one
        for one in result.predictions
        if one.candidate.mode is Mode.ONE_ENCODER and one.held_out.value == "rows"
    )
    return found.area * found.old


def test_what_a_log_gains_is_predicted() -> None:
    with_log, without = (assessed(log, splits=1) for log in (WORLD.log, None))
    assert with_log.logged == len(WORLD.log)
    assert without.logged == 0
    said = area(with_log) - area(without)
    measured = [
        evaluate(
            fit(WORLD.fit, "refitted_kernel", queries=log),
            WORLD.gallery,
            WORLD.queries,
            qrels=WORLD.qrels,
        )
        .figures["mrr"]
        .auc
        for log in (WORLD.log, None)
    ]
    gained = measured[0] - measured[1]
    assert gained > 0
    assert 0.3 * gained < said < 3 * gained


def test_a_method_that_learns_nothing_from_a_log_is_predicted_as_without() -> None:
    with_log, without = (assessed(log, "ridge", splits=1) for log in (WORLD.log, None))
    assert with_log.logged == 0
    assert [one.describe() for one in with_log.predictions] == [
        one.describe() for one in without.predictions
    ]


def test_queries_that_are_asked_and_logged_are_found() -> None:
    rows = WORLD.queries.new_rows()
    # As another batch of the same model would give them.
    again = QueryLog(rows[:250] * (1 + 1e-6) + 1e-7)
    said = assessed(again, "ridge", splits=1).findings
    assert any("250 of 300 queries are in the log too" in one for one in said)
    assert not any("in the log" in one for one in assessed(WORLD.log, "ridge", splits=1).findings)


def test_a_bad_log_is_refused_before_anything_is_fitted() -> None:
    new = WORLD.log.new
    with pytest.raises(SpaceMismatch, match="new embeddings of queries"):
        assessed(QueryLog(new[:, 1:]))
    with pytest.raises(InvalidInput, match="got 20 queries, wanted at least 200"):
        assessed(QueryLog(new[:20]))
    with pytest.raises(InvalidInput, match="queries is of type ndarray, wanted QueryLog"):
        assessed(np.asarray(new))  # type: ignore[arg-type]
