"""One fit and its measurements: what a line of the results holds.

A method's name may have a suffix: ``auto+labels`` may use labels; ``auto+queries`` a log of
queries and ``auto+stand-ins`` texts in its place (as may most methods with a forward map);
``auto+recorded`` is fitted without, and its gallery is taught by the log's queries at the first
milestone, as if its service had been asked them by then; and ``rank_merge+rrf`` merges the lists
of both sides as other tools do (:data:`crossfade.baselines.MERGES`, ``isotonic``).
"""

from __future__ import annotations

import time
import warnings
from collections.abc import Callable
from typing import Any

from crossfade.baselines import MERGES, evaluate_merge
from crossfade.bench.dataset import LOGS, DataSet
from crossfade.embeddings import Pairs
from crossfade.errors import InvalidInput
from crossfade.evaluation import METRICS, EvaluationResult, evaluate
from crossfade.evaluation.figures import has_gain
from crossfade.fit.api import UnusedQueriesWarning, fit
from crossfade.fit.methods import METHODS
from crossfade.fit.settings import ProgressCallback
from crossfade.upgrade import Mode, Upgrade, can_be_taught

__all__ = [
    "EVERY_METHOD",
    "can_search",
    "check_method",
    "fit_method",
    "is_method",
    "makes_use_of_log",
    "measure",
    "merge_of",
    "uses_labels",
    "uses_log",
]

_LABELS = "labels"
_RECORDED, _RECORDED_LOG = "recorded", "queries"
_MERGES = (*MERGES, "isotonic")
EVERY_METHOD = (
    *METHODS,
    *(f"rank_merge+{name}" for name in _MERGES if name != "raw"),
    "auto",
    "auto+labels",
    *(f"auto+{suffix}" for suffix in (*LOGS, _RECORDED)),
)
"""Every method, rank merge under the merges of other tools, and ``auto`` in its ways."""
_STEPS = 11
_DIGITS = 5
_FIGURES = ("old_old", "new_new", "auc", "gain_share", "worst_point", "drop", "end_point")


def check_method(name: str) -> str:
    """The name, if it is ``auto`` or a fitting method's, with or without a suffix.

    Raises:
        InvalidInput: it is not.
    """
    if is_method(name):
        return name
    base, _, suffix = name.partition("+")
    if is_method(base):
        raise InvalidInput(
            f"unknown suffix {suffix!r} of {base}; choose one of "
            f"{', '.join((*_MERGES, *LOGS, _RECORDED))}, or auto+labels"
        )
    raise InvalidInput(
        f"unknown method {name!r}; choose of {', '.join(EVERY_METHOD)}; with +queries or "
        "+stand-ins most methods with a forward map learn from a log, or from texts in its place"
    )


def is_method(name: str) -> bool:
    """Whether :func:`check_method` would take it."""
    base, plus, suffix = name.partition("+")
    known = (*_MERGES, *LOGS, _RECORDED)
    known_suffix = not plus or suffix in known or name == f"auto+{_LABELS}"
    return (base == "auto" or base in METHODS) and known_suffix


def merge_of(name: str) -> str | None:
    """The merge that a method's name asks for; None for the upgrade's own."""
    suffix = name.partition("+")[2]
    return suffix if suffix in _MERGES else None


def uses_labels(method: str) -> bool:
    """Whether fitting is told the classes; everything else never sees them."""
    base, _, suffix = method.partition("+")
    return suffix == _LABELS or (base != "auto" and METHODS[base].needs_labels)


def uses_log(method: str) -> str | None:
    """The log that it learns from, of :data:`LOGS`; None for none."""
    if _learns_on_the_way(method):
        return _RECORDED_LOG
    suffix = method.partition("+")[2]
    return suffix if suffix in LOGS else None


def makes_use_of_log(upgrade: Upgrade, method: str) -> bool:
    """Whether a method that is given a log has learned from it, or its gallery will."""
    if _learns_on_the_way(method):
        return can_be_taught(upgrade)
    return bool(upgrade.report["queries_used"])


def _learns_on_the_way(method: str) -> bool:
    return method.partition("+")[2] == _RECORDED


def fit_method(
    data: DataSet,
    method: str,
    seed: int,
    *,
    epochs: int | None = None,
    progress: ProgressCallback | None = None,
) -> Upgrade:
    """Fit on the fit rows only, with labels or a log only if the method is one that uses them."""
    pairs: Pairs = data.fit if uses_labels(method) else data.fit.without_labels()
    log = None if _learns_on_the_way(method) else uses_log(method)
    with warnings.catch_warnings():
        # The command says it by itself, see makes_use_of_log.
        warnings.simplefilter("ignore", UnusedQueriesWarning)
        return fit(
            pairs,
            method.partition("+")[0],
            queries=None if log is None else data.logs[log],
            seed=seed,
            epochs=epochs,
            progress=progress,
        )


def can_search(upgrade: Upgrade, method: str, mode: str) -> bool:
    """Whether the upgrade has what the mode needs; other tools' merges know one mode."""
    if Mode(mode) is Mode.ONE_ENCODER:
        return True
    return upgrade.two_encoder is not None and merge_of(method) is None


def measure(
    upgrade: Upgrade,
    data: DataSet,
    *,
    method: str,
    seed: int,
    mode: str,
    order: str,
    on_progress: Callable[[int, int], None] | None = None,
) -> dict[str, Any]:
    """The backfilling curve and all figures of merit of one upgrade in one mode.

    ``encoders`` is how many models embed a query: rank merge and SLERP need both in any mode.
    ``upgrade`` says of each metric whether the new model is better than the old one at all.
    """
    started = time.monotonic()
    merge = merge_of(method)
    evaluated = (
        _evaluate(upgrade, data, method, seed, mode, order, on_progress)
        if merge is None
        else _evaluate_merge(upgrade, data, merge, seed, order)
    )
    result = evaluated.to_json()
    return {
        "chosen": upgrade.method,
        "encoders": 2 if Mode(mode) is Mode.TWO_ENCODER or upgrade.needs_old_query else 1,
        "pairs": len(data.fit),
        "dims": [upgrade.source.dim, upgrade.target.dim],
        "counts": result["counts"],
        "fit_seconds": upgrade.report["seconds"],
        "evaluate_seconds": round(time.monotonic() - started, 1),
        "coverage": result["coverage"],
        "curve": {name: _rounded(result["metrics"][name]) for name in METRICS},
        **{name: _rounded_values(result[name]) for name in _FIGURES},
        "upgrade": {
            name: has_gain(old_old=result["old_old"][name], new_new=result["new_new"][name])
            for name in METRICS
        },
        "negative_flips": _rounded(result["negative_flips"]),
        "negative_flips_consecutive": _rounded(result["negative_flips_consecutive"]),
    }


def _evaluate(
    upgrade: Upgrade,
    data: DataSet,
    method: str,
    seed: int,
    mode: str,
    order: str,
    on_progress: Callable[[int, int], None] | None,
) -> EvaluationResult:
    return evaluate(
        upgrade,
        data.gallery,
        data.queries,
        qrels=data.qrels,
        ignored=data.ignored,
        steps=_STEPS,
        order=order,
        seed=seed,
        mode=mode,
        recorded=data.logs[_RECORDED_LOG] if _learns_on_the_way(method) else None,
        on_progress=on_progress,
    )


def _evaluate_merge(
    upgrade: Upgrade, data: DataSet, merge: str, seed: int, order: str
) -> EvaluationResult:
    return evaluate_merge(
        upgrade,
        data.gallery,
        data.queries,
        merge=merge,
        pairs=data.fit,
        qrels=data.qrels,
        ignored=data.ignored,
        steps=_STEPS,
        order=order,
        seed=seed,
    )


def _rounded(values: list[float]) -> list[float]:
    return [round(value, _DIGITS) for value in values]


def _rounded_values(values: dict[str, float | None]) -> dict[str, float | None]:
    return {
        name: None if value is None else round(value, _DIGITS) for name, value in values.items()
    }
