"""Small data sets, and a narrator that remembers."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import contextmanager

from crossfade.bench import BuildPlan, DataSet, Setting, Suite
from crossfade.testing import make_world


class Told:
    """Remembers what it was told."""

    def __init__(self) -> None:
        self.lines: list[str] = []

    def say(self, text: str, /) -> None:
        self.lines.append(text)

    @contextmanager
    def fitting(self) -> Iterator[Callable[[object], None]]:
        yield lambda _: None

    @contextmanager
    def measuring(self, name: str, /) -> Iterator[Callable[[int, int], None]]:
        yield lambda done, total: self.lines.append(f"{name} {done}/{total}")


def small_data(seed: int = 0, *, labels: bool = True) -> DataSet:
    """120 pairs to fit on, 60 items that are their own queries."""
    world = make_world(items=120, queries=60, classes=6, seed=seed)
    fit = world.gallery if labels else world.gallery.without_labels()
    return DataSet(fit=fit, gallery=world.queries)


def small_suite(name: str = "small", *, labels: bool = True) -> Suite:
    def build(plan: BuildPlan) -> DataSet:
        return small_data(plan.seed, labels=labels)

    return Suite(
        name=name,
        family=name,
        summary="generated",
        setting=Setting.OWN,
        metric="map",
        methods=("rank_merge", "forward_ridge"),
        build=build,
    )
