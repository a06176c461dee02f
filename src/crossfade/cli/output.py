"""What the command line prints: results on stdout, messages and progress on stderr."""

from __future__ import annotations

import json
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import Any

from rich.console import Console
from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn, TimeElapsedColumn
from rich.table import Table

from crossfade.fit.settings import FitProgress

__all__ = ["fit_progress", "message", "print_json", "print_table", "query_progress"]

_PLAIN_LINES = 4


def message(text: str) -> None:
    """One line for a person, on stderr."""
    Console(stderr=True).print(text, markup=False, highlight=False, soft_wrap=True)


def print_json(value: Any) -> None:
    """One JSON object on stdout."""
    print(json.dumps(value))  # noqa: T201


def print_table(title: str, header: list[str], rows: list[list[str]]) -> None:
    """A table on stdout."""
    table = Table(title=title, title_justify="left", title_style="bold")
    for index, name in enumerate(header):
        table.add_column(name, justify="left" if index == 0 else "right", no_wrap=index == 0)
    for row in rows:
        table.add_row(*row)
    Console().print(table)


@contextmanager
def fit_progress() -> Iterator[Callable[[FitProgress], None]]:
    """Progress of fitting with loss and time left; some plain lines when not a terminal."""
    console = Console(stderr=True)
    if not console.is_terminal:
        yield _plain_fit_progress
        return
    columns = (
        TextColumn("{task.description}"),
        BarColumn(),
        MofNCompleteColumn(),
        TextColumn("loss {task.fields[loss]}"),
        TextColumn("{task.fields[left]} left"),
        TimeElapsedColumn(),
    )
    with Progress(*columns, console=console, transient=True) as bars:
        tasks: dict[str, Any] = {}

        def show(progress: FitProgress) -> None:
            if progress.method not in tasks:
                tasks[progress.method] = bars.add_task(
                    progress.method, total=progress.total, loss="", left=""
                )
            bars.update(
                tasks[progress.method],
                completed=progress.done,
                loss=_loss(progress),
                left=_left(progress),
            )

        yield show


@contextmanager
def query_progress(description: str) -> Iterator[Callable[[int, int], None]]:
    """Progress over queries; silent when not a terminal."""
    console = Console(stderr=True)
    with Progress(console=console, transient=True, disable=not console.is_terminal) as bars:
        task = bars.add_task(description, total=None)
        yield lambda done, total: bars.update(task, completed=done, total=total)


def _plain_fit_progress(progress: FitProgress) -> None:
    if progress.done % max(1, progress.total // _PLAIN_LINES) == 0:
        message(
            f"{progress.method}: {progress.done}/{progress.total} steps, "
            f"loss {_loss(progress)}, {_left(progress)} left"
        )


def _loss(progress: FitProgress) -> str:
    return "-" if progress.loss is None else f"{progress.loss:.4f}"


def _left(progress: FitProgress) -> str:
    return "-" if progress.seconds_left is None else f"{progress.seconds_left:.0f} s"
