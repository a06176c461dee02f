"""Which example queries are shown."""

import numpy as np
from hypothesis import given
from hypothesis import strategies as st

from crossfade.demo.answers import Answer, Stage, select


def _stage(first_is_right: list[bool]) -> Stage:
    answers = [[Answer(0, right, "old"), Answer(1, True, "new")] for right in first_is_right]
    return Stage("some moment", answers)


def test_a_stage_counts_first_results_and_all_results() -> None:
    stage = _stage([True, False, False, False])
    assert stage.first_is_right.tolist() == [True, False, False, False]
    assert stage.share_right == (1 + 4) / 8


@given(st.lists(st.tuples(st.booleans(), st.booleans()), min_size=1, max_size=60), st.integers(0))
def test_every_group_holds_only_what_its_rule_says(
    outcomes: list[tuple[bool, bool]], seed: int
) -> None:
    before, after = ([pair[at] for pair in outcomes] for at in (0, 1))
    drawn, wrong_before, lost = select(_stage(before), _stage(after), seed)
    assert len(drawn.rows) == min(8, len(outcomes))
    assert len(wrong_before.rows) == min(6, before.count(False))
    assert all(not before[row] for row in wrong_before.rows)
    assert all(before[row] and not after[row] for row in lost.rows)
    for group in (drawn, wrong_before, lost):
        assert len(set(group.rows)) == len(group.rows)


def test_the_losses_are_shown_and_counted() -> None:
    _, _, lost = select(_stage([True, True, False]), _stage([False, True, True]), seed=0)
    assert list(lost.rows) == [0]
    assert "of the 1 queries" in lost.rule


def test_the_draw_depends_on_the_seed_and_on_nothing_else() -> None:
    stage = _stage([bool(row % 2) for row in range(200)])
    first, again, other = (select(stage, stage, seed)[0].rows for seed in (1, 1, 2))
    np.testing.assert_array_equal(first, again)
    assert list(first) != list(other)
