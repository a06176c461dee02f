"""``auto``: the method with the best held-out curve, never the best training loss."""

from __future__ import annotations

from typing import Any

import numpy as np

from crossfade.embeddings import Pairs
from crossfade.fit.held_out import HeldOutCurve, Split, held_out_curve
from crossfade.fit.methods import METHODS, Method
from crossfade.fit.settings import FitSettings, ProgressCallback
from crossfade.upgrade import Upgrade

__all__ = ["candidates", "choose"]

# Cheapest first: a later one must be better beyond doubt to be chosen over an earlier one.
_WITHOUT_LABELS = ("forward_ridge", "ridge", "forward_distillation", "distillation")
_WITH_LABELS = ("forward_ridge", "forward_distillation", "contrastive")
_FALL_BACK = "forward_ridge"


def candidates(pairs: Pairs) -> list[Method]:
    """The methods that compete for these pairs, cheapest first."""
    several_classes = pairs.labels is not None and len(np.unique(pairs.labels)) > 1
    return [METHODS[name] for name in (_WITH_LABELS if several_classes else _WITHOUT_LABELS)]


def choose(
    pairs: Pairs,
    split: Split | None,
    settings: FitSettings,
    progress: ProgressCallback | None,
) -> tuple[Upgrade, dict[str, Any]]:
    """Fit all candidates on the fitting pairs and keep the best on the held-out pairs.

    The report says how every candidate did and how sure the choice is: the share of bootstrap
    samples of the held-out queries in which the winner has the largest area.
    """
    if split is None:
        upgrade = METHODS[_FALL_BACK].load()(pairs, settings, progress)
        return upgrade, {"held_out": None, "chosen_by": "too few pairs to hold any out"}
    fitted: dict[str, Upgrade] = {}
    curves: dict[str, HeldOutCurve] = {}
    for method in candidates(split.fitting):
        fitted[method.name] = method.load()(split.fitting, settings, progress)
        curves[method.name] = held_out_curve(fitted[method.name], split.held_out, settings.seed)
    winner, certainty = _winner(curves, settings.seed)
    upgrade = fitted[winner]
    if METHODS[winner].closed_form:
        upgrade = METHODS[winner].load()(pairs, settings, progress)
    return upgrade, {
        "held_out": curves[winner].describe(),
        "chosen_by": "area under the held-out backfilling curve",
        "certainty": certainty,
        "candidates": {name: curve.describe() for name, curve in curves.items()},
    }


def _winner(curves: dict[str, HeldOutCurve], seed: int) -> tuple[str, float]:
    names = list(curves)
    areas = np.stack([curves[name].area_per_query for name in names])
    rng = np.random.default_rng([seed, 3])
    resampled = rng.integers(0, areas.shape[1], size=(500, areas.shape[1]))
    means = areas[:, resampled].mean(axis=2)
    best = int(areas.mean(axis=1).argmax())
    return names[best], round(float((means.argmax(axis=0) == best).mean()), 3)
