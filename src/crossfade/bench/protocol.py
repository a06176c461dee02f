"""The protocol: every suite, seed, method and mode by the same rules, resumable.

A method is fitted on the fit rows and measured on rows, queries or classes that it never saw,
by full-gallery ranking at 11 coverages. The seed is of everything: the split, models that the
suite trains, fitting, and the order of backfilling. Each finished run is written at once; a run
that is there already is not repeated. One failing run doesn't end the others: it is told, and
the error comes at the end.
"""

from __future__ import annotations

import time
import traceback
from collections.abc import Callable, Iterable, Iterator, Sequence
from contextlib import AbstractContextManager, contextmanager
from dataclasses import asdict, dataclass, field
from typing import Protocol

import crossfade
from crossfade.bench.dataset import LOGS, DataSet, Identity
from crossfade.bench.ledger import Ledger, RunKey
from crossfade.bench.measure import (
    can_search,
    fit_method,
    makes_use_of_log,
    measure,
    uses_labels,
    uses_log,
)
from crossfade.bench.plan import BenchPlan, Step
from crossfade.bench.suite import BuildPlan, Suite
from crossfade.bench.timing import TimeLeft
from crossfade.errors import BenchIncomplete, CrossfadeError
from crossfade.evaluation.overlap import count_shared, overlap_sentence
from crossfade.fit.settings import FitProgress
from crossfade.upgrade import Upgrade

__all__ = ["Narrator", "run_suites"]


class Narrator(Protocol):
    """Told what is going on; the command line prints it."""

    def say(self, text: str, /) -> None:
        """One line."""

    def fitting(self) -> AbstractContextManager[Callable[[FitProgress], None]]:
        """Progress of one fit."""

    def measuring(self, name: str, /) -> AbstractContextManager[Callable[[int, int], None]]:
        """Progress over queries: done, and in all."""


def run_suites(plan: BenchPlan, ledger: Ledger, narrator: Narrator) -> None:
    """Run what is missing.

    Raises:
        BenchIncomplete: some runs failed; all others are in the ledger.
    """
    session = _Session(plan, ledger, narrator)
    # Seeds outside: a run that is stopped early has every suite at least once.
    for seed in plan.seeds:
        for suite in plan.suites:
            session.run(suite, seed)
    if session.failures:
        raise BenchIncomplete(
            f"{len(session.failures)} of {session.planned} runs failed, all others are in "
            f"{ledger.path}; the same command tries only these again: "
            + "; ".join(session.failures)
        )


@dataclass
class _Session:
    plan: BenchPlan
    ledger: Ledger
    narrator: Narrator
    failures: list[str] = field(default_factory=list)

    def __post_init__(self) -> None:
        steps = self.plan.all_steps()
        self.planned = len(steps)
        self._left = TimeLeft([step.kind for step in steps], self.ledger.runs)

    def run(self, suite: Suite, seed: int) -> None:
        """All methods of one suite with one seed."""
        steps = self.plan.steps(suite, seed)
        with self._failing(f"{suite.name}, seed {seed}: building its data", steps):
            data = self._build(suite, seed)
            logs = {suffix: log.fingerprint() for suffix, log in data.logs.items()}
            self.ledger.holds_now(suite.name, self.plan.quick, data.source, logs)
            for method, own in _by_method(steps):
                log = data.logs.get(uses_log(method) or "")
                self._run_method(data, data.identity(log), method, own)

    def _build(self, suite: Suite, seed: int) -> DataSet:
        self.narrator.say(f"{suite.name}, seed {seed}: {suite.summary}")
        say = self.narrator.say
        data = suite.build(BuildPlan(seed, self.plan.quick, say, self.plan.data))
        self.narrator.say(
            f"{suite.name}, seed {seed}: {len(data.fit):,} pairs to fit on, "
            f"{len(data.gallery):,} items in the gallery"
        )
        if shared := count_shared(data.fit, data.gallery):
            self.narrator.say(
                f"{suite.name}, seed {seed}: {overlap_sentence(shared, len(data.gallery))}"
            )
        return data

    def _run_method(
        self, data: DataSet, identity: Identity, method: str, steps: Sequence[Step]
    ) -> None:
        missing = [step for step in steps if self._is_missing(step, identity)]
        for step in steps:
            if step not in missing:
                self._done(step)
        lacks = _what_is_lacking(data, method)
        if missing and lacks is not None:
            self.narrator.say(f"{missing[0]}: left out, it needs {lacks} and the data has none")
            for step in missing:
                self._done(step)
            return
        if not missing:
            return
        with self._failing(str(missing[0]), missing):
            with self.narrator.fitting() as progress:
                upgrade = fit_method(
                    data, method, missing[0].seed, epochs=self.plan.epochs, progress=progress
                )
            if uses_log(method) and not makes_use_of_log(upgrade, method):
                self.narrator.say(f"{missing[0]}: left out, it makes no use of a log")
                for step in missing:
                    self._done(step)
                return
            for step in missing:
                with self._failing(str(step), [step]):
                    self._measure(data, identity, upgrade, step)

    def _measure(self, data: DataSet, identity: Identity, upgrade: Upgrade, step: Step) -> None:
        if not can_search(upgrade, step.method, step.mode):
            self.narrator.say(f"{step}: left out, there is nothing to combine two models with")
            self._done(step)
            return
        started = time.monotonic()
        with self.narrator.measuring(step.method) as on_progress:
            figures = measure(
                upgrade,
                data,
                method=step.method,
                seed=step.seed,
                mode=step.mode,
                order=step.order,
                on_progress=on_progress,
            )
        suite = step.suite
        run = {
            **self._key(step, identity).to_json(),
            "quick": self.plan.quick,
            "setting": suite.setting.value,
            "metric": suite.metric,
            **figures,
        }
        self.ledger.append(run)
        seconds = time.monotonic() - started + figures["fit_seconds"]
        self._done(step, seconds)
        share, worst = figures["gain_share"][suite.metric], figures["worst_point"][suite.metric]
        gains = figures["upgrade"][suite.metric]
        shown = f"gain share {share:.1%}" if gains else "no gain to share"
        self.narrator.say(f"{step}: {shown}, worst point {worst:+.4f}; {self._left.describe()}")

    def _is_missing(self, step: Step, identity: Identity) -> bool:
        return self.plan.again or self._key(step, identity) not in self.ledger

    def _key(self, step: Step, identity: Identity) -> RunKey:
        return RunKey(
            suite=step.suite.name,
            seed=step.seed,
            method=step.method,
            mode=step.mode,
            order=step.order,
            version=crossfade.__version__,
            **asdict(identity),
        )

    def _done(self, step: Step, seconds: float | None = None) -> None:
        self._left.done(step.kind, seconds)

    @contextmanager
    def _failing(self, what: str, steps: Sequence[Step]) -> Iterator[None]:
        """Keep an error for the end and tell it now; interrupts pass."""
        try:
            yield
        except CrossfadeError as error:
            self._failed(what, steps, str(error))
        except Exception as error:
            # A bug must not cost a night's other runs; whoever mends it wants to see where.
            self._failed(what, steps, "".join(traceback.format_exception(error)))

    def _failed(self, what: str, steps: Sequence[Step], why: str) -> None:
        self.failures.append(what)
        self.narrator.say(f"{what} failed: {why}")
        for step in steps:
            self._done(step)


def _what_is_lacking(data: DataSet, method: str) -> str | None:
    if uses_labels(method) and not data.has_labels:
        return "labels"
    log = uses_log(method)
    return None if log is None or log in data.logs else LOGS[log].what


def _by_method(steps: Iterable[Step]) -> Iterator[tuple[str, list[Step]]]:
    grouped: dict[str, list[Step]] = {}
    for step in steps:
        grouped.setdefault(step.method, []).append(step)
    yield from grouped.items()
