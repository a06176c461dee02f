"""One fit and its measurements: what a line of the results holds."""

from __future__ import annotations

import time
from collections.abc import Callable
from typing import Any

from crossfade.bench.dataset import DataSet
from crossfade.embeddings import Pairs
from crossfade.evaluation import METRICS, evaluate
from crossfade.fit.api import fit
from crossfade.fit.methods import METHODS, method_named
from crossfade.fit.settings import ProgressCallback
from crossfade.upgrade import Mode, Side, Upgrade

__all__ = ["AUTO_WITH_LABELS", "can_search", "check_method", "fit_method", "measure", "uses_labels"]

AUTO_WITH_LABELS = "auto+labels"
_STEPS = 11
_DIGITS = 5
_FIGURES = ("old_old", "new_new", "auc", "gain_share", "worst_point", "drop", "end_point")


def check_method(name: str) -> str:
    """The name, if it is ``auto``, ``auto+labels``, or a fitting method's.

    Raises:
        InvalidInput: it is not.
    """
    return name if name in ("auto", AUTO_WITH_LABELS) else method_named(name).name


def uses_labels(method: str) -> bool:
    """Whether fitting is told the classes; everything else never sees them."""
    return method == AUTO_WITH_LABELS or (method != "auto" and METHODS[method].needs_labels)


def fit_method(
    data: DataSet,
    method: str,
    seed: int,
    *,
    epochs: int | None = None,
    progress: ProgressCallback | None = None,
) -> Upgrade:
    """Fit on the fit rows only, with labels only if the method is one that uses them."""
    pairs: Pairs = data.fit if uses_labels(method) else data.fit.without_labels()
    name = "auto" if method == AUTO_WITH_LABELS else method
    return fit(pairs, name, seed=seed, epochs=epochs, progress=progress)


def can_search(upgrade: Upgrade, mode: str) -> bool:
    """Whether the upgrade has what the mode needs."""
    return Mode(mode) is not Mode.TWO_ENCODER or upgrade.two_encoder is not None


def measure(
    upgrade: Upgrade,
    data: DataSet,
    *,
    seed: int,
    mode: str,
    order: str,
    on_progress: Callable[[int, int], None] | None = None,
) -> dict[str, Any]:
    """The backfilling curve and all figures of merit of one upgrade in one mode.

    ``encoders`` is how many models embed a query: rank merge needs both in any mode.
    ``upgrade`` says of each metric whether the new model is better than the old one at all.
    """
    started = time.monotonic()
    result = evaluate(
        upgrade,
        data.gallery,
        data.queries,
        qrels=data.qrels,
        ignored=data.ignored,
        steps=_STEPS,
        order=order,
        seed=seed,
        mode=mode,
        on_progress=on_progress,
    ).to_json()
    return {
        "chosen": upgrade.method,
        "encoders": 2 if Mode(mode) is Mode.TWO_ENCODER or upgrade.side is Side.NONE else 1,
        "pairs": len(data.fit),
        "dims": [upgrade.source.dim, upgrade.target.dim],
        "counts": result["counts"],
        "fit_seconds": upgrade.report["seconds"],
        "evaluate_seconds": round(time.monotonic() - started, 1),
        "coverage": result["coverage"],
        "curve": {name: _rounded(result["metrics"][name]) for name in METRICS},
        **{name: _rounded_values(result[name]) for name in _FIGURES},
        "upgrade": {name: result["new_new"][name] > result["old_old"][name] for name in METRICS},
        "negative_flips": _rounded(result["negative_flips"]),
        "negative_flips_consecutive": _rounded(result["negative_flips_consecutive"]),
    }


def _rounded(values: list[float]) -> list[float]:
    return [round(value, _DIGITS) for value in values]


def _rounded_values(values: dict[str, float | None]) -> dict[str, float | None]:
    return {
        name: None if value is None else round(value, _DIGITS) for name, value in values.items()
    }
