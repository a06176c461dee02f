"""Runs put together over seeds."""

from __future__ import annotations

import math
from collections import defaultdict
from collections.abc import Iterable
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from crossfade.bench.ledger import Run
from crossfade.evaluation.figures import drop, has_gain

__all__ = ["Group", "groups_of"]

Values = NDArray[np.float64]
_CMC = "cmc@1"


@dataclass(frozen=True, eq=False)
class Group:
    """The runs of one suite, method, mode and order; one a seed, the latest that there is.

    Figures are of the suite's own metric, ``(seeds,)``, NaN where there is none.
    """

    suite: str
    setting: str
    metric: str
    method: str
    mode: str
    order: str
    quick: bool
    runs: tuple[Run, ...]

    def figure(self, name: str, metric: str | None = None) -> Values:
        """A figure of merit of each seed."""
        values = [run[name][metric or self.metric] for run in self.runs]
        return np.array([math.nan if value is None else value for value in values])

    @property
    def curves(self) -> Values:
        """The backfilling curves, ``(seeds, steps)``."""
        return np.array([run["curve"][self.metric] for run in self.runs])

    @property
    def mean_curve_drop(self) -> float:
        """The deepest fall of the mean over the seeds' curves."""
        return drop(self.curves.mean(axis=0))

    @property
    def coverage(self) -> Values:
        """``(steps,)`` from 0 to 1."""
        return np.array(self.runs[0]["coverage"])

    @property
    def worst_flips(self) -> Values:
        """Negative flips of each seed at the worst coverage, as shares of the queries."""
        return np.array([max(run["negative_flips"]) for run in self.runs])

    @property
    def rank_1_end_point(self) -> Values:
        """CMC@1 at coverage 1 against the new model alone."""
        return self.figure("end_point", _CMC)

    @property
    def encoders(self) -> int:
        """How many models embed a query."""
        return int(self.runs[0]["encoders"])

    @property
    def is_upgrade(self) -> bool:
        """Whether the new model is better than the old one, in the mean over the seeds."""
        old, new = (float(self.figure(end).mean()) for end in ("old_old", "new_new"))
        return has_gain(old_old=old, new_new=new)

    @property
    def shown_gain_share(self) -> tuple[float, float]:
        """Mean over the seeds and spread, NaN where the new model is not better."""
        share = self.figure("gain_share") if self.is_upgrade else np.array(math.nan)
        return float(share.mean()), float(share.std())

    @property
    def name(self) -> str:
        """Method and what it chose; two encoders and an order that is not random are told."""
        chosen = sorted({run["chosen"] for run in self.runs} - {self.method.partition("+")[0]})
        parts = [self.method + (f" ({', '.join(chosen)})" if chosen else "")]
        parts += ["2 encoders"] if self.encoders == 2 else []
        parts += [f"order {self.order}"] if self.order != "random" else []
        return ", ".join(parts)

    def to_json(self) -> dict[str, Any]:
        """Means over the seeds, the spread of the gain share, the worst of what can be bad."""
        share = self.figure("gain_share")
        return {
            "suite": self.suite,
            "setting": self.setting,
            "metric": self.metric,
            "method": self.method,
            "mode": self.mode,
            "order": self.order,
            "quick": self.quick,
            "encoders": self.encoders,
            "seeds": sorted(run["seed"] for run in self.runs),
            "old_old": _number(self.figure("old_old").mean()),
            "new_new": _number(self.figure("new_new").mean()),
            "is_upgrade": self.is_upgrade,
            "gain_share": _number(share.mean()),
            "gain_share_spread": _number(share.std()),
            "worst_point": _number(self.figure("worst_point").min()),
            "drop": _number(self.figure("drop").max()),
            "mean_curve_drop": _number(self.mean_curve_drop),
            "end_point": _number(self.figure("end_point").mean()),
            "rank_1_end_point": _number(self.rank_1_end_point.mean()),
            "negative_flips": _number(self.worst_flips.mean()),
        }


def groups_of(runs: Iterable[Run]) -> list[Group]:
    """All runs, in the order in which their suites and methods first came.

    Of one seed's runs the last one counts, whatever package version or data it was of: a table
    shows what is known last.
    """
    grouped: dict[tuple[Any, ...], dict[int, Run]] = defaultdict(dict)
    for run in runs:
        key = (run["suite"], run["quick"], run["method"], run["mode"], run["order"])
        grouped[key].pop(run["seed"], None)
        grouped[key][run["seed"]] = run
    suites = list(dict.fromkeys((key[0], key[1]) for key in grouped))
    ordered = sorted(grouped.items(), key=lambda item: suites.index(item[0][:2]))
    return [_group(tuple(by_seed[seed] for seed in sorted(by_seed))) for _, by_seed in ordered]


def _group(runs: tuple[Run, ...]) -> Group:
    last = runs[-1]
    return Group(
        suite=last["suite"],
        setting=last["setting"],
        metric=last["metric"],
        method=last["method"],
        mode=last["mode"],
        order=last["order"],
        quick=last["quick"],
        runs=runs,
    )


def _number(value: Any) -> float | None:
    return None if math.isnan(value) else round(float(value), 5)
