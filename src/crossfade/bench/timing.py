"""How long the rest will take, from runs of the same kind."""

from __future__ import annotations

from collections import Counter, defaultdict
from collections.abc import Iterable, Sequence
from statistics import mean

from crossfade.bench.ledger import Run

__all__ = ["TimeLeft"]

Kind = tuple[str, str, str]
"""Suite, method, mode."""


class TimeLeft:
    """Estimates from finished runs: of the same kind, else of the same method, else of any."""

    def __init__(self, planned: Iterable[Kind], finished: Sequence[Run]) -> None:
        self._planned = Counter(planned)
        self._seconds: dict[tuple[str, ...], list[float]] = defaultdict(list)
        for run in finished:
            kind = (run["suite"], run["method"], run["mode"])
            self._learn(kind, run["fit_seconds"] + run["evaluate_seconds"])

    def done(self, kind: Kind, seconds: float | None) -> None:
        """One planned run is done, in so many seconds; None if there was nothing to do."""
        self._planned[kind] -= 1
        if seconds is not None:
            self._learn(kind, seconds)

    @property
    def seconds(self) -> float | None:
        """Estimate for what is planned and not done; None before any run is known."""
        estimates = [self._estimate(kind) for kind in self._planned.elements()]
        known = [estimate for estimate in estimates if estimate is not None]
        return None if len(known) < len(estimates) else sum(known)

    def describe(self) -> str:
        """The number of runs left and their time, in words."""
        runs = sum(count for count in self._planned.values() if count > 0)
        seconds = self.seconds
        if runs == 0:
            return "nothing left"
        counted = "1 run left" if runs == 1 else f"{runs} runs left"
        return counted if seconds is None else f"{counted}, about {_spoken(seconds)}"

    def _learn(self, kind: Kind, seconds: float) -> None:
        for key in (kind, kind[1:2], ()):
            self._seconds[key].append(seconds)

    def _estimate(self, kind: Kind) -> float | None:
        for key in (kind, kind[1:2], ()):
            if self._seconds[key]:
                return mean(self._seconds[key])
        return None


def _spoken(seconds: float) -> str:
    if seconds < 90:
        return f"{seconds:.0f} s"
    return f"{seconds / 60:.0f} min" if seconds < 5400 else f"{seconds / 3600:.1f} h"
