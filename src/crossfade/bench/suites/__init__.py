"""Benchmark suites, one file a family of data; ``ALL`` is the table that the command lists."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import replace
from functools import partial
from pathlib import Path

from crossfade.bench.dataset import FILES, LOGS, DataSet
from crossfade.bench.suite import (
    WITH_LABELS,
    WITH_LOGS,
    WITHOUT_LABELS,
    BuildPlan,
    Setting,
    Suite,
)
from crossfade.bench.suites import emoji, fashion, one_file, paper, stamps, text, wesnoth
from crossfade.errors import InvalidInput
from crossfade.evaluation.metrics import check_metric, metric_for

__all__ = ["ALL", "ALL_LOCAL", "suites_named"]

ALL_LOCAL = "all-local"
ALL: tuple[Suite, ...] = (
    *fashion.SUITES,
    *emoji.SUITES,
    *wesnoth.SUITES,
    *stamps.SUITES,
    *text.SUITES,
    *paper.SUITES,
)


def suites_named(names: Sequence[str], metric: str | None = None) -> list[Suite]:
    """Suites by name, by family, ``all-local``, or a user's own folder or file; each once.

    Args:
        metric: shown instead of the suites' own.

    Raises:
        InvalidInput: nothing of that name, two data sets of one name, or an unknown metric.
    """
    if metric is not None:
        check_metric(metric)
    found: dict[str, Suite] = {}
    for suite in (suite for name in names for suite in _named(name)):
        if found.setdefault(suite.name, suite).summary != suite.summary:
            raise InvalidInput(
                f"{found[suite.name].summary} and {suite.summary} are both named {suite.name!r} in "
                "results; rename one"
            )
    return [suite if metric is None else replace(suite, metric=metric) for suite in found.values()]


def _named(name: str) -> list[Suite]:
    if name == ALL_LOCAL:
        return [suite for suite in ALL if not suite.reads_data]
    matching = [suite for suite in ALL if name in (suite.name, suite.family)]
    exact = [suite for suite in matching if suite.name == name]
    if matching:
        return exact or matching
    path = Path(name)
    if path.is_dir():
        return [_own_folder(path)]
    if path.is_file() and path.suffix == ".npz":
        apart = one_file.check(path)
        return [_own(path, partial(one_file.build, path), judged=apart)]
    raise InvalidInput(
        f"there is no suite and no folder or .npz file {name!r}; `crossfade bench list` shows the "
        f"suites, a folder of your own holds {', '.join(FILES)} (the first two at least), and a "
        f"file {one_file.FORM}"
    )


def _own_folder(folder: Path) -> Suite:
    DataSet.check(folder)
    judged = (folder / "qrels.txt").exists()
    there = {suffix for suffix, kind in LOGS.items() if (folder / kind.file).exists()}
    logged = [method for method, log in WITH_LOGS.items() if log in there]

    def build(_: BuildPlan) -> DataSet:
        data = DataSet.load(folder)
        return replace(data, source=data.fingerprint())

    return _own(folder, build, judged=judged, logged=logged)


def _own(
    path: Path, build: Callable[[BuildPlan], DataSet], *, judged: bool, logged: Sequence[str] = ()
) -> Suite:
    def whole(plan: BuildPlan) -> DataSet:
        if plan.quick:
            plan.say("your own data is measured whole, --quick or not, with one seed")
        return build(plan)

    return Suite(
        name=path.resolve().stem if path.is_file() else path.resolve().name,
        family="own",
        summary=f"your own data, {path}",
        setting=Setting.OWN,
        metric=metric_for(judged=judged),
        methods=(*WITHOUT_LABELS, *logged, *WITH_LABELS),
        build=whole,
    )
