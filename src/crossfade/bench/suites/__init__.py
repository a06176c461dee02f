"""Benchmark suites, one file a family of data; ``ALL`` is the table that the command lists."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path

from crossfade.bench.dataset import LOG_FILE, DataSet
from crossfade.bench.suite import (
    WITH_LABELS,
    WITH_QUERIES,
    WITHOUT_LABELS,
    BuildPlan,
    Setting,
    Suite,
)
from crossfade.bench.suites import emoji, fashion, paper, stamps, text, wesnoth
from crossfade.errors import InvalidInput
from crossfade.evaluation.metrics import check_metric

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
    """Suites by name, by family, ``all-local``, or a user's own folder; each once.

    Args:
        metric: shown instead of the suites' own.

    Raises:
        InvalidInput: nothing of that name, or an unknown metric.
    """
    if metric is not None:
        check_metric(metric)
    found = {suite.name: suite for name in names for suite in _named(name)}
    return [suite if metric is None else replace(suite, metric=metric) for suite in found.values()]


def _named(name: str) -> list[Suite]:
    if name == ALL_LOCAL:
        return [suite for suite in ALL if not suite.reads_data]
    matching = [suite for suite in ALL if name in (suite.name, suite.family)]
    exact = [suite for suite in matching if suite.name == name]
    if matching:
        return exact or matching
    folder = Path(name)
    if folder.is_dir():
        return [_own_suite(folder)]
    raise InvalidInput(
        f"there is no suite and no folder {name!r}; `crossfade bench list` shows the suites, and "
        "a folder of your own holds fit.npz, gallery.npz, and optionally queries.npz, qrels.txt, "
        "log.npz"
    )


def _own_suite(folder: Path) -> Suite:
    DataSet.check(folder)
    with_queries = (WITH_QUERIES,) if (folder / LOG_FILE).exists() else ()

    def build(_: BuildPlan) -> DataSet:
        return DataSet.load(folder)

    return Suite(
        name=folder.resolve().name,
        family="own",
        summary=f"your own data, {folder}",
        setting=Setting.OWN,
        metric="mrr" if (folder / "qrels.txt").exists() else "map",
        methods=(*WITHOUT_LABELS, *with_queries, *WITH_LABELS),
        build=build,
    )
