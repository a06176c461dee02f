"""What the demo shows, on a terminal and off it."""

import io

import pytest
from rich.console import Console

from crossfade.demo.live import LiveFigures
from crossfade.demo.result import LivePoint
from crossfade.demo.screen import Screen


def _figures(coverage: float) -> LiveFigures:
    return LiveFigures(LivePoint(coverage, 0.4 + 0.2 * coverage), old=0.4, new=0.6, answered=7)


def _shown(terminal: bool, coverages: list[float]) -> str:
    out = io.StringIO()
    screen = Screen(Console(file=out, force_terminal=terminal, width=120))
    with screen.bar("a step") as bar:
        bar(1, 2, "half")
    with screen.live(items=1000) as show:
        for coverage in coverages:
            show(_figures(coverage))
    return out.getvalue()


def test_off_a_terminal_there_is_one_plain_line_for_each_tenth() -> None:
    lines = _shown(False, [step / 100 for step in range(101)]).splitlines()
    assert "\x1b" not in "".join(lines)
    assert len([line for line in lines if "coverage" in line]) == 11
    assert "gain so far 50%" in lines[6]
    assert "mAP 0.500 (old 0.400, new 0.600)" in lines[6]


def test_a_step_says_its_last_note_and_its_time() -> None:
    (line,) = [line for line in _shown(False, []).splitlines() if "a step" in line]
    assert line.endswith("half")
    assert " s " in line


def test_a_terminal_gets_the_table_with_the_last_figures() -> None:
    shown = _shown(True, [0.0, 0.5, 1.0])
    for text in ("coverage", "1,000 items moved", "100%", "mAP 0.600", "7 queries"):
        assert text in shown


@pytest.mark.parametrize(("mean_average_precision", "gain"), [(0.4, 0.0), (0.6, 1.0), (0.7, 1.5)])
def test_gain_is_the_way_from_old_to_new(mean_average_precision: float, gain: float) -> None:
    figures = LiveFigures(LivePoint(0.5, mean_average_precision), old=0.4, new=0.6, answered=1)
    assert figures.gain == pytest.approx(gain)


def test_two_equal_models_leave_no_gain_to_speak_of() -> None:
    assert LiveFigures(LivePoint(0.5, 0.5), old=0.5, new=0.5, answered=1).gain != 0
