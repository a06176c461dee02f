"""The verdict on the new model itself."""

from __future__ import annotations

import numpy as np
import pytest
from assessment_worlds import QUICK, good_upgrade, switched

from crossfade import Pairs, Qrels, assess
from crossfade.assessment import Gain, Interval, Verdict
from crossfade.assessment.gain import judge
from crossfade.testing.worlds import make_world


def gain(value: float, low: float, high: float, least: float = 0.005) -> Gain:
    return Gain("map", 0.5, 0.5 + value, Interval(value, low, high), 100, 100, least)


@pytest.mark.parametrize(
    ("measured", "wanted"),
    [
        (gain(0.1, 0.05, 0.15), Verdict.WORTH_IT),
        (gain(-0.1, -0.15, -0.05), Verdict.REFUSE),
        (gain(0.0, 0.0, 0.0), Verdict.REFUSE),  # the same model twice
        (gain(0.002, 0.001, 0.003), Verdict.REFUSE),  # surely better, by nothing worth having
        (gain(0.01, -0.02, 0.04), Verdict.UNCERTAIN),
        (gain(-0.01, -0.04, 0.02), Verdict.UNCERTAIN),
        (None, Verdict.UNKNOWN),
    ],
)
def test_the_verdict_follows_the_interval(measured: Gain | None, wanted: Verdict) -> None:
    assert judge(measured) is wanted


def test_a_worse_model_is_refused_and_nothing_is_recommended() -> None:
    result = assess(switched(good_upgrade()), **QUICK)
    assert result.verdict is Verdict.REFUSE
    assert result.gain is not None
    assert result.gain.difference.high < 0
    assert result.recommendation is None
    assert not result.predictions


def test_a_clear_upgrade_is_worth_it() -> None:
    result = assess(good_upgrade(), **QUICK)
    assert result.verdict is Verdict.WORTH_IT
    assert result.gain is not None
    assert result.gain.more_queries is None
    assert result.gain.difference.low > 0.05


def test_a_difference_within_the_noise_is_uncertain_and_more_queries_settle_it() -> None:
    queries, gallery, qrels = equal_models(queries=60)
    result = assess(gallery, queries, qrels=qrels, **QUICK)
    assert result.verdict is Verdict.UNCERTAIN
    assert result.gain is not None
    difference = result.gain.difference
    assert difference.low < 0 < difference.high
    # An interval narrows as one over the root: it must shrink to the distance it has to clear.
    room = difference.value if difference.value > 0 else result.gain.least - difference.value
    shrink = (difference.high - difference.low) / 2 / room
    more = result.gain.more_queries
    assert more is not None
    assert (result.gain.queries + more) / result.gain.queries == pytest.approx(shrink**2, rel=0.02)


def equal_models(queries: int) -> tuple[Pairs, Pairs, Qrels]:
    """Two models with the same noise, drawn anew: neither is the better one."""
    world = make_world(
        items=300, queries=queries, classes=300, dim_old=16, dim_new=16,
        noise_old=0.6, noise_new=0.6, spread=0.05, seed=3,
    )  # fmt: skip
    labels = world.queries.labels
    assert labels is not None and world.gallery.labels is not None
    items = {int(label): id for id, label in enumerate(world.gallery.labels)}
    qrels = {
        str(id): {str(items[int(label)]): 1}
        for id, label in zip(world.queries.ids, labels, strict=True)
        if int(label) in items
    }
    return world.queries, world.gallery.without_labels(), Qrels(qrels)


def test_without_anything_relevant_the_gain_is_unknown_but_regret_is_predicted() -> None:
    result = assess(good_upgrade().without_labels(), **QUICK)
    assert result.verdict is Verdict.UNKNOWN
    assert result.gain is None
    assert result.recommendation is not None
    assert {one.asked.value for one in result.predictions} == {"neighbours", "displaced"}
    assert all(one.gain_share is None for one in result.predictions)
    assert any("can't be measured" in finding for finding in result.findings)


def test_queries_of_a_class_are_drawn_together_so_copies_add_no_certainty() -> None:
    pairs = good_upgrade(items=300, noise_old=0.3, noise_new=0.25)
    copies = Pairs.of(
        np.arange(1200), np.tile(pairs.old, (4, 1)), np.tile(pairs.new, (4, 1)),
        np.tile(np.asarray(pairs.labels), 4),
    )  # fmt: skip
    once, often = (assess(one, **QUICK).gain for one in (pairs, copies))
    assert once is not None and often is not None
    widths = [one.difference.high - one.difference.low for one in (once, often)]
    assert widths[1] > 0.75 * widths[0]  # as independent queries they would halve it
