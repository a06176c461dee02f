"""``auto``: the method with the best held-out curve, never the best training loss."""

from __future__ import annotations

from typing import Any

import numpy as np
from numpy.typing import NDArray

from crossfade.embeddings import Pairs, QueryLog
from crossfade.errors import MissingExtra
from crossfade.fit.held_out import HeldOutCurve, Split, held_out_curves
from crossfade.fit.item_offset import with_item_offset
from crossfade.fit.methods import METHODS, FitFunction, Method, few_for_networks
from crossfade.fit.ordering import with_chosen_order, with_ordering
from crossfade.fit.settings import FitSettings, ProgressCallback
from crossfade.upgrade import MOST_CARRIED, Upgrade

__all__ = ["candidates", "choose"]

# The first is what the others must beat.
_KERNEL = "refitted_kernel"
_CANDIDATES = (_KERNEL, "refitted_mlp")
_OF_VERY_MANY_PAIRS = (*_CANDIDATES, "refitted_ridge")
_BY_LABELS = "refitted_contrastive"
_BOOTSTRAP_SAMPLES = 500


def candidates(pairs: Pairs) -> list[Method]:
    """The methods that compete for these pairs, the one to beat first.

    With fewer than two pairs a dimension only closed forms compete: a trained map then fits
    the pairs themselves, and held-out items of the same kind are too like them to tell. With very
    many, a ridge may know more than a kernel map, which then competes by some of them.
    """
    several_classes = pairs.labels is not None and len(np.unique(pairs.labels)) > 1
    names: tuple[str, ...] = _CANDIDATES
    if len(pairs) > MOST_CARRIED:
        names = _OF_VERY_MANY_PAIRS
    competing = [METHODS[name] for name in (*names, *([_BY_LABELS] if several_classes else []))]
    few = few_for_networks(pairs)
    return [method for method in competing if method.closed_form or not few]


def choose(
    pairs: Pairs,
    split: Split | None,
    settings: FitSettings,
    progress: ProgressCallback | None,
    queries: QueryLog | None = None,
) -> tuple[Upgrade, dict[str, Any]]:
    """Fit all candidates on the fitting pairs and keep the best on the held-out pairs.

    A candidate's merit is the area under its held-out curve relative to the first
    candidate's, for the kind of queries where it does worst: what wins on one kind and loses
    on the other is not chosen. The report says how every candidate did and how sure the
    choice is: the share of bootstrap samples of the held-out queries that agree. All compete
    without offsets of items, which made-up queries, being items themselves, don't reward.

    A kernel map of very many pairs takes minutes. So it competes by as many as an artifact carries,
    and is fitted on all that are not held out if it wins in spite of that.
    """
    competing = candidates(pairs if split is None else split.fitting)
    if split is None:
        upgrade = competing[0].load()(pairs, settings, progress)
        upgrade = with_ordering(upgrade, pairs, settings)
        return upgrade, {"held_out": None, "chosen_by": "too few pairs to hold any out"}
    fit_by = _loaded(competing)
    fitted: dict[str, Upgrade] = {}
    curves: dict[str, list[HeldOutCurve]] = {}
    for method in competing:
        shown = _some(split.fitting, settings) if method.name == _KERNEL else split.fitting
        fitted[method.name] = fit_by[method.name](shown, settings, progress)
        curves[method.name] = held_out_curves(fitted[method.name], split.held_out, settings.seed)
    winner, certainty = _winner(curves, settings.seed)
    judged = final = fitted[winner]
    if METHODS[winner].closed_form:
        fit_winner = fit_by[winner]
        if winner == _KERNEL and len(pairs) > MOST_CARRIED:  # those held out are not worth minutes
            judged = final = fit_winner(split.fitting, settings, progress)
        else:
            final = fit_winner(pairs, settings, progress)
    # Orders first: on the pairs themselves an offset says nothing but that they were fitted on.
    ordered, orders = with_chosen_order(judged, final, split, pairs, settings)
    judged, upgrade = with_item_offset(judged, ordered, split, settings, queries)
    delivered = curves[winner]
    if judged.offset is not None and not judged.offset.is_blank:
        delivered = held_out_curves(judged, split.held_out, settings.seed)
    return upgrade, {
        "held_out": [curve.describe() for curve in delivered],
        **orders,
        "chosen_by": "area under the held-out backfilling curve",
        "certainty": certainty,
        "candidates": {name: [curve.describe() for curve in own] for name, own in curves.items()},
    }


def _loaded(competing: list[Method]) -> dict[str, FitFunction]:
    """What fits them; found out before minutes of fitting the first, not after."""
    try:
        return {method.name: method.load() for method in competing}
    except MissingExtra as error:
        closed = ", ".join(method.name for method in competing if method.closed_form)
        purpose = f"auto, which fits networks too (none in {closed}),"
        raise MissingExtra(purpose, error.extra) from error


def _some(pairs: Pairs, settings: FitSettings) -> Pairs:
    """As many as an artifact carries, drawn; all if they are no more."""
    if len(pairs) <= MOST_CARRIED:
        return pairs
    rng = np.random.default_rng([settings.seed, 9])
    return pairs.subset(np.sort(rng.permutation(len(pairs))[:MOST_CARRIED]))


def _winner(curves: dict[str, list[HeldOutCurve]], seed: int) -> tuple[str, float]:
    names = list(curves)
    rng = np.random.default_rng([seed, 3])
    everyone: list[NDArray[np.float64]] = []
    resampled: list[NDArray[np.float64]] = []
    for kind in zip(*curves.values(), strict=True):
        areas = np.stack([curve.area_per_query for curve in kind])
        rows = rng.integers(0, areas.shape[1], size=(_BOOTSTRAP_SAMPLES, areas.shape[1]))
        everyone.append(areas.mean(axis=1))
        resampled.append(areas[:, rows].mean(axis=2))
    best = int(_merit(everyone).argmax())
    agree = _merit(resampled).argmax(axis=0) == best
    return names[best], round(float(agree.mean()), 3)


def _merit(areas: list[NDArray[np.float64]]) -> NDArray[np.float64]:
    """Worst area over the kinds of queries, relative to the first candidate's."""
    relative = [kind / np.maximum(kind[:1], 1e-9) for kind in areas]
    return np.asarray(np.min(relative, axis=0))
