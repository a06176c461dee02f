"""What the demo shows on stderr: bars and a live table, or plain lines off a terminal."""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager

from rich.console import Console
from rich.live import Live
from rich.progress import BarColumn, Progress, TaskProgressColumn, TextColumn, TimeElapsedColumn
from rich.progress_bar import ProgressBar
from rich.table import Table

from crossfade.demo.live import LiveFigures

__all__ = ["Screen"]

_LABEL_COLUMNS = 44
_BAR_COLUMNS = 40
_REFRESHES_PER_SECOND = 8
_SPARKS = "▁▂▃▄▅▆▇█"

ShowBar = Callable[[int, int, str], None]
ShowFigures = Callable[[LiveFigures], None]


class Screen:
    """Writes to a console.

    Args:
        console: by default stderr.
    """

    def __init__(self, console: Console | None = None) -> None:
        self._console = console or Console(stderr=True)

    def say(self, text: str) -> None:
        """One line."""
        self._console.print(text, highlight=False, soft_wrap=True)

    @contextmanager
    def bar(self, title: str) -> Iterator[ShowBar]:
        """A progress bar for one step; the function yielded takes (done, total, note).

        Afterwards one line says what the step was, its last note, and how long it took.
        """
        started = time.monotonic()
        columns = (
            TextColumn(f"  {{task.description:<{_LABEL_COLUMNS}}}"),
            BarColumn(),
            TaskProgressColumn(),
            TextColumn("{task.fields[note]}"),
            TimeElapsedColumn(),
        )
        last = ""
        with Progress(
            *columns,
            console=self._console,
            transient=True,
            disable=not self._console.is_terminal,
        ) as progress:
            task = progress.add_task(title, total=None, note="")

            def show(done: int, total: int, note: str) -> None:
                nonlocal last
                last = note
                progress.update(task, completed=done, total=total, note=note)

            yield show
        seconds = time.monotonic() - started
        self.say(f"  {title:<{_LABEL_COLUMNS}} [dim]{seconds:5.1f} s[/]  {last}".rstrip())

    @contextmanager
    def live(self, items: int) -> Iterator[ShowFigures]:
        """The table of the running backfill; the function yielded may be called from anywhere."""
        if not self._console.is_terminal:
            yield _Lines(self).show
            return
        table = _LiveTable(items)
        with Live(
            console=self._console, refresh_per_second=_REFRESHES_PER_SECOND, transient=False
        ) as live:

            def show(figures: LiveFigures) -> None:
                live.update(table.draw(figures))

            yield show


class _LiveTable:
    """The table and the history that its spark line needs."""

    def __init__(self, items: int) -> None:
        self._items = items
        self._history: dict[int, float] = {}

    def draw(self, figures: LiveFigures) -> Table:
        point = figures.point
        self._history[int(point.coverage * (_BAR_COLUMNS - 1))] = point.mean_average_precision
        table = Table.grid(padding=(0, 2))
        table.add_column(justify="right", style="dim", min_width=14)
        table.add_column(min_width=_BAR_COLUMNS)
        table.add_column()
        moved = f"{point.coverage:4.0%}  {round(point.coverage * self._items):,} items moved"
        bar = ProgressBar(total=1.0, completed=point.coverage, width=_BAR_COLUMNS)
        table.add_row("coverage", bar, moved)
        table.add_row("mAP", f"[cyan]{self._spark(figures)}[/]", _quality(figures))
        table.add_row("gain so far", f"[bold]{figures.gain:.0%}[/] of the way from old to new", "")
        table.add_row("answered", f"{figures.answered:,} queries meanwhile", "")
        return table

    def _spark(self, figures: LiveFigures) -> str:
        low, high = figures.old, max(figures.new, *self._history.values())
        marks = ""
        for column in range(max(self._history) + 1):
            known = [place for place in self._history if place <= column]
            value = self._history[max(known)] if known else low
            level = (value - low) / (high - low) if high > low else 0.0
            marks += _SPARKS[max(0, min(len(_SPARKS) - 1, round(level * (len(_SPARKS) - 1))))]
        return marks


class _Lines:
    """One line for each tenth of the gallery."""

    def __init__(self, screen: Screen) -> None:
        self._screen = screen
        self._shown = -1

    def show(self, figures: LiveFigures) -> None:
        tenth = int(figures.point.coverage * 10)
        if tenth > self._shown:
            self._shown = tenth
            self._screen.say(
                f"  coverage {figures.point.coverage:4.0%}  {_quality(figures)}  "
                f"gain so far {figures.gain:.0%}  {figures.answered:,} queries answered"
            )


def _quality(figures: LiveFigures) -> str:
    now = figures.point.mean_average_precision
    return f"mAP {now:.3f} (old {figures.old:.3f}, new {figures.new:.3f})"
