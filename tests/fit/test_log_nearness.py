"""Logs that ask for nothing that is there are told."""

import numpy as np
import pytest

from crossfade import Pairs, QueryLog, assess, fit
from crossfade.embeddings import unit_rows
from crossfade.fit.api import UnlikeQueriesWarning
from crossfade.testing import make_world
from crossfade.upgrade import log_nearness, why_unlike

WORLD = make_world(items=400, queries=300, dim_old=48, dim_new=64)
OWN = QueryLog(WORLD.queries.new_rows(), WORLD.queries.old_rows())
NONSENSE = QueryLog(unit_rows(np.random.default_rng(0).normal(size=(300, 64))))


def slow_nearness(log: QueryLog, pairs: Pairs) -> float:
    items = pairs.new_rows()
    best, others = [], []
    for row, item in enumerate(items):
        rest = np.delete(items, row, axis=0) @ item
        best.append(rest.max())
        others.append(rest.mean())
    asked = [items @ query for query in log.new]
    near = float(np.mean(best) - np.mean(others))
    return float(np.mean([one.max() - one.mean() for one in asked])) / near


def test_it_is_how_near_queries_are_where_items_are_to_one_another_one() -> None:
    for log in (OWN, NONSENSE):
        assert log_nearness(log, WORLD.gallery.new_rows()) == pytest.approx(
            slow_nearness(log, WORLD.gallery), abs=0.002
        )


def test_queries_of_another_space_are_told_and_ones_own_are_not() -> None:
    assert why_unlike(log_nearness(OWN, WORLD.gallery.new_rows())) is None
    with pytest.warns(UnlikeQueriesWarning, match="times as near .* wanted at least 0.6"):
        upgrade = fit(WORLD.gallery, "forward_ridge", queries=NONSENSE)
    assert upgrade.report["queries_nearness"] < 0.6
    assert fit(WORLD.gallery, "forward_ridge", queries=OWN).report["queries_nearness"] > 0.8
    assert fit(WORLD.gallery, "forward_ridge").report["queries_nearness"] is None


@pytest.mark.filterwarnings("ignore::crossfade.fit.api.UnlikeQueriesWarning")
def test_an_assessment_tells_it_too() -> None:
    def told(log: QueryLog) -> bool:
        said = assess(WORLD.gallery, log=log, methods=["forward_ridge"], splits=1)
        return any("times as near" in finding for finding in said.findings)

    assert told(NONSENSE) and not told(OWN)
