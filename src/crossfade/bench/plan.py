"""What to run: suites, seeds, methods, modes."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

from crossfade.bench.suite import Suite
from crossfade.orders import RANDOM
from crossfade.upgrade import Mode

__all__ = ["BenchPlan", "Step"]

_QUICK_METHODS = ("rank_merge", "forward_ridge", "auto")
_QUICK_EPOCHS = 8
_BOTH = (Mode.ONE_ENCODER.value, Mode.TWO_ENCODER.value)


@dataclass(frozen=True)
class Step:
    """One planned run."""

    suite: Suite
    seed: int
    method: str
    mode: str
    order: str = RANDOM

    @property
    def kind(self) -> tuple[str, str, str]:
        """What takes about as long with any seed."""
        return self.suite.name, self.method, self.mode

    def __str__(self) -> str:
        order = "" if self.order == RANDOM else f", order {self.order}"
        return f"{self.suite.name}, seed {self.seed}: {self.method}, {self.mode}{order}"


@dataclass(frozen=True)
class BenchPlan:
    """What to run.

    Attributes:
        suites: one after the other. seeds: of split, trained models, fitting, and order.
        methods: None takes each suite's own.
        modes: None takes one encoder for all methods, and two encoders for ``auto`` as well.
        orders: of backfilling. quick: small sets and few methods, for a look.
        data: the user's folder, for suites that need one.
        again: repeat runs that are there already; the last result counts.
    """

    suites: Sequence[Suite]
    seeds: Sequence[int]
    methods: Sequence[str] | None = None
    modes: Sequence[str] | None = None
    orders: Sequence[str] = (RANDOM,)
    quick: bool = False
    data: Path | None = None
    again: bool = False

    @property
    def epochs(self) -> int | None:
        """Passes of trained methods over the pairs, at most; None leaves it to fitting."""
        return _QUICK_EPOCHS if self.quick else None

    def steps(self, suite: Suite, seed: int) -> list[Step]:
        """All runs of a suite with one seed; those of one method side by side."""
        own = [name for name in suite.methods if name in _QUICK_METHODS]
        methods = self.methods or (own if self.quick else suite.methods)
        return [
            Step(suite, seed, method, mode, order)
            for method in methods
            for mode in self.modes or (_BOTH if method.startswith("auto") else _BOTH[:1])
            for order in self.orders
        ]

    def all_steps(self) -> list[Step]:
        """All runs of all suites and seeds."""
        return [
            step for seed in self.seeds for suite in self.suites for step in self.steps(suite, seed)
        ]
