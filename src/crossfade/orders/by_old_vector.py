"""Orders by what an item's old vector says: how badly the map serves it, how much it matters.

Items without an old vector come first: the old side does not find them at all. Where the map is
fitted again on what is backfilled, a random share of the others comes next: what is like no other
item teaches a map little of those that still wait (``docs/experiments.md``, "Orders").
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import replace

import numpy as np
from numpy.typing import NDArray

from crossfade.embeddings import FloatArray, unit_rows
from crossfade.errors import InvalidInput
from crossfade.orders.base import Scoring, refuse_argument
from crossfade.orders.random_keys import random_keys
from crossfade.orders.traffic import read_traffic
from crossfade.stores import Item
from crossfade.upgrade import Ordering, Upgrade

__all__ = [
    "central_first",
    "class_mean",
    "cluster_mean",
    "expected_gain",
    "predicted_residual",
    "short_mapped_first",
    "uncertainty",
]

_FIRST = float(np.finfo(np.float32).min)
_AT_RANDOM, _AT_RANDOM_CORRECTED = 0.2, 0.05
"""Shares of the items, for a map fitted anew and for one that is only corrected."""
Keys = Callable[[FloatArray], NDArray[np.floating]]


def short_mapped_first(upgrade: Upgrade, seed: int, argument: str) -> Scoring:
    """By the length of the forward map's output before scaling: a short one is unsure."""
    refuse_argument("short_mapped_first", argument)
    forward = upgrade.forward
    if forward is None:
        raise InvalidInput(
            "order 'short_mapped_first' needs an upgrade on the items' side, such as one of "
            f"method forward_ridge; this one is on the {upgrade.side.value} side"
        )
    return _by_old_vector(upgrade, seed, lambda old: np.linalg.norm(forward.raw(old), axis=1))


def uncertainty(upgrade: Upgrade, seed: int, argument: str) -> Scoring:
    """FastFill's: what the forward map says it is least sure of [Jaeckle2023]."""
    refuse_argument("uncertainty", argument)
    doubt = upgrade.uncertainty
    if doubt is None:
        raise InvalidInput(
            f"method {upgrade.method!r} predicts no uncertainty, so there is no such order; fit "
            "'fastfill', or take another order"
        )
    return _by_old_vector(upgrade, seed, lambda old: -doubt.raw(old)[:, 0])


def predicted_residual(upgrade: Upgrade, seed: int, argument: str) -> Scoring:
    """By how far the map probably misses an item: FastFill's idea without training."""
    refuse_argument("predicted_residual", argument)
    ordering = _ordering(upgrade, "predicted_residual")
    return _by_old_vector(upgrade, seed, lambda old: -ordering.residual_of(old, upgrade.forward))


def expected_gain(upgrade: Upgrade, seed: int, argument: str) -> Scoring:
    """Greedy: by how much moving an item alone probably lifts all rankings.

    ``expected_gain:FILE`` weighs the gain by a log of what is asked for (:mod:`.traffic`),
    each count plus one.
    """
    ordering = _ordering(upgrade, "expected_gain")
    plain = _scored(upgrade, lambda old: -ordering.gain_of(old, upgrade.forward))
    if not argument:
        return _some_at_random(upgrade, seed, plain)
    counts = read_traffic("expected_gain", argument)

    def keys(items: Sequence[Item]) -> NDArray[np.float64]:
        asked = np.array([1.0 + counts[str(item.id)] for item in items])
        # A gain is a rank from 0 to 1 as it was learned; its prediction may be a little below.
        gain = -np.asarray(plain.keys(items))
        return np.where(gain == -_FIRST, _FIRST, -asked * np.maximum(gain, 0.0))

    return _some_at_random(upgrade, seed, replace(plain, keys=keys))


def central_first(upgrade: Upgrade, seed: int, argument: str) -> Scoring:
    """By how near an item's mapped vector is to the mean of the new space.

    What the map knows little of it sends there, where it comes up for every query.
    """
    refuse_argument("central_first", argument)
    ordering, forward = _ordering(upgrade, "central_first"), upgrade.forward
    if forward is None:
        raise InvalidInput(
            "order 'central_first' needs an upgrade on the items' side, such as one of method "
            f"forward_ridge; this one is on the {upgrade.side.value} side"
        )
    return _by_old_vector(upgrade, seed, lambda old: -(forward(old) @ ordering.centre))


def cluster_mean(upgrade: Upgrade, seed: int, argument: str) -> Scoring:
    """By how far an item is from the nearest cluster's mean in the old space; no labels."""
    refuse_argument("cluster_mean", argument)
    means = _ordering(upgrade, "cluster_mean").cluster_means
    return _by_old_vector(upgrade, seed, lambda old: (old @ means.T).max(axis=1))


def class_mean(upgrade: Upgrade, seed: int, argument: str) -> Scoring:
    """By how far an item is from the nearest class's mean in the old space.

    After the order of *lambda-orthogonality* (2025), which knows the item's own class; in a
    gallery that is being backfilled nobody does, so it is the nearest one's.
    """
    refuse_argument("class_mean", argument)
    means = _ordering(upgrade, "class_mean").class_means
    if means is None:
        raise InvalidInput(
            "order 'class_mean' needs classes, and this upgrade was fitted without labels; fit "
            "it with labels, or take 'cluster_mean'"
        )
    return _by_old_vector(upgrade, seed, lambda old: (old @ means.T).max(axis=1))


def _ordering(upgrade: Upgrade, order: str) -> Ordering:
    if upgrade.ordering is None:
        raise InvalidInput(
            f"order {order!r} needs what fitting learns about orders, and this upgrade holds "
            "none: it is of an earlier release, of a method without map, or of too few pairs; "
            "fit it anew, or take 'random' or 'short_mapped_first'"
        )
    return upgrade.ordering


def _by_old_vector(upgrade: Upgrade, seed: int, keys_of: Keys) -> Scoring:
    return _some_at_random(upgrade, seed, _scored(upgrade, keys_of))


def _some_at_random(upgrade: Upgrade, seed: int, scoring: Scoring) -> Scoring:
    if upgrade.refit is None:
        return scoring
    share = _AT_RANDOM_CORRECTED if upgrade.refit.corrects else _AT_RANDOM
    key_of = random_keys(seed)

    def keys(items: Sequence[Item]) -> NDArray[np.float64]:
        own = np.asarray(scoring.keys(items), dtype=np.float64)
        drawn = np.array([key_of(item.id) for item in items])
        # In an order among themselves, before all others but those that have no old vector.
        early = _FIRST * (0.5 - 0.25 * drawn)
        return np.where((drawn < share) & (own != _FIRST), early, own)

    return replace(scoring, keys=keys)


def _scored(upgrade: Upgrade, keys_of: Keys) -> Scoring:
    source = upgrade.source

    def keys(items: Sequence[Item]) -> NDArray[np.float64]:
        keys = np.full(len(items), _FIRST)
        held = [row for row, item in enumerate(items) if source.name in item.vectors]
        if held:
            old = np.stack([items[row].vectors[source.name] for row in held])
            keys[held] = keys_of(unit_rows(old, dim=source.dim, name="old embeddings"))
        return keys

    return Scoring(keys, vectors=[source.name], payload=False)
