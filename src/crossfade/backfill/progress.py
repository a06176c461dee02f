"""A progress bar on stderr; plain lines where stderr is no terminal."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import contextmanager

from rich.console import Console
from rich.progress import BarColumn, Progress, TaskProgressColumn, TextColumn

from crossfade.backfill.status import JobStatus

__all__ = ["describe_rate", "describe_refits", "progress_bar"]


@contextmanager
def progress_bar(console: Console | None = None) -> Iterator[Callable[[JobStatus], None]]:
    """A function to give to :meth:`Backfill.run` that draws coverage, rate and time left."""
    console = console or Console(stderr=True)
    columns = (
        TextColumn("backfill"),
        BarColumn(),
        TaskProgressColumn(),
        TextColumn("{task.fields[rate]}"),
    )
    with Progress(*columns, console=console, disable=not console.is_terminal) as bar:
        task = bar.add_task("backfill", total=1.0, rate="")
        lines = _Lines(console)

        def show(status: JobStatus) -> None:
            bar.update(task, completed=status.coverage, rate=describe_rate(status))
            if not console.is_terminal:
                lines.show(status)

        yield show


def describe_rate(status: JobStatus) -> str:
    """Rate, time left and parked items in words."""
    words = []
    if status.rate is not None:
        words.append(f"{status.rate:,.0f} items/s")
    if status.seconds_left is not None:
        words.append(f"{_clock(status.seconds_left)} left")
        if status.refits:
            words.append(describe_refits(status, _clock))
    if status.parked:
        words.append(f"{status.parked} parked")
    return ", ".join(words)


def describe_refits(status: JobStatus, spoken: Callable[[float], str]) -> str:
    """How often the map may be fitted again, beside the time left.

    Args:
        spoken: writes a number of seconds.
    """
    words = f"up to {status.refits} refits" if status.refits > 1 else "a refit at most"
    if status.refit_seconds is None:
        return f"{words} on top"
    return f"{words} on top (the last took {spoken(status.refit_seconds)})"


def _clock(seconds: float) -> str:
    minutes, rest = divmod(round(seconds), 60)
    return f"{minutes}:{rest:02d}"


class _Lines:
    """One line for each tenth of the gallery."""

    def __init__(self, console: Console) -> None:
        self._console = console
        self._shown = -1

    def show(self, status: JobStatus) -> None:
        tenth = int(status.coverage * 10)
        if tenth > self._shown:
            self._shown = tenth
            self._console.print(
                f"backfill {status.coverage:.0%} of {status.items} items, {describe_rate(status)}",
                highlight=False,
            )
