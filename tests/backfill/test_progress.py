"""What a job shows of itself."""

import io
from dataclasses import replace

import pytest
from rich.console import Console

from crossfade.backfill import JobState, JobStatus, progress_bar
from crossfade.backfill.progress import describe_rate

STATUS = JobStatus(
    state=JobState.RUNNING,
    coverage=0.25,
    items=4000,
    done=1000,
    pending=3000,
    parked=0,
    rate=40.0,
    seconds_left=75.0,
    last_error=None,
    order="random",
    seed=0,
)


@pytest.mark.parametrize(
    ("changes", "words"),
    [
        ({}, "40 items/s, 1:15 left"),
        ({"parked": 3}, "40 items/s, 1:15 left, 3 parked"),
        ({"rate": None, "seconds_left": None}, ""),
        ({"refits": 3}, "40 items/s, 1:15 left, up to 3 refits on top"),
        (
            {"refits": 1, "refit_seconds": 61.2, "parked": 3},
            "40 items/s, 1:15 left, a refit at most on top (the last took 1:01), 3 parked",
        ),
        ({"refits": 3, "seconds_left": None}, "40 items/s"),
        ({"rate": 12345.6, "seconds_left": 3.4}, "12,346 items/s, 0:03 left"),
    ],
)
def test_the_rate_is_put_in_words(changes: dict[str, float], words: str) -> None:
    assert describe_rate(replace(STATUS, **changes)) == words  # type: ignore[arg-type]


def test_where_there_is_no_terminal_each_tenth_is_a_plain_line() -> None:
    out = io.StringIO()
    with progress_bar(Console(file=out, width=200)) as show:
        for percent in range(101):
            show(replace(STATUS, coverage=percent / 100))
    lines = out.getvalue().splitlines()
    assert len(lines) == 11
    assert lines[0].startswith("backfill 0% of 4000 items, 40 items/s")
    assert lines[-1].startswith("backfill 100% of 4000 items")


def test_on_a_terminal_there_is_a_bar() -> None:
    out = io.StringIO()
    with progress_bar(Console(file=out, width=100, force_terminal=True)) as show:
        show(STATUS)
    assert "25%" in out.getvalue() and "1:15 left" in out.getvalue()


def test_progress_goes_to_stderr(capsys: pytest.CaptureFixture[str]) -> None:
    with progress_bar() as show:
        show(STATUS)
    captured = capsys.readouterr()
    assert captured.out == "" and "backfill 25%" in captured.err
