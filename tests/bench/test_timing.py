"""Time left is estimated from the runs that are most alike."""

from __future__ import annotations

from crossfade.bench.timing import TimeLeft

A, B, C = ("s", "slow", "one"), ("s", "fast", "one"), ("t", "slow", "one")


def known(kind: tuple[str, str, str], seconds: float) -> dict[str, object]:
    suite, method, mode = kind
    return {"suite": suite, "method": method, "mode": mode, "fit_seconds": seconds - 1,
            "evaluate_seconds": 1}  # fmt: skip


def test_before_any_run_nothing_is_known() -> None:
    left = TimeLeft([A, B], [])
    assert left.seconds is None
    assert left.describe() == "2 runs left"


def test_the_same_kind_comes_first_then_the_method_then_any() -> None:
    left = TimeLeft([A, C, B], [known(A, 100.0)])
    assert left.seconds == 300.0
    left.done(B, 2.0)
    assert left.seconds == 200.0
    left.done(C, 20.0)
    assert left.seconds == 100.0
    assert left.describe() == "1 run left, about 2 min"


def test_skipped_runs_teach_nothing() -> None:
    left = TimeLeft([A, A, B], [])
    left.done(A, None)
    assert left.seconds is None
    left.done(A, 8.0)
    assert left.seconds == 8.0
    left.done(B, None)
    assert left.describe() == "nothing left"
