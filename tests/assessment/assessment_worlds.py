"""Samples with known answers."""

from __future__ import annotations

from typing import Any

import numpy as np

from crossfade import Pairs
from crossfade.testing.worlds import make_world

QUICK: dict[str, Any] = {"methods": ["forward_ridge"], "splits": 2}


def good_upgrade(items: int = 900, **changes: Any) -> Pairs:
    """Thirty classes that the new model separates far better than the old one."""
    settings = {"classes": 30, "noise_old": 0.8, "noise_new": 0.1, "dim_latent": 10, **changes}
    return make_world(items=items, queries=0, **settings).gallery


def switched(pairs: Pairs) -> Pairs:
    """The same pairs with old and new exchanged."""
    return Pairs.of(pairs.ids, pairs.new, pairs.old, pairs.labels)


def local_maps_world(items: int = 900, classes: int = 30, seed: int = 0) -> Pairs:
    """Each class has a map of its own from old to new: no class says anything about another.

    Within a class the old model sees everything, so a map fitted on the class's own items is
    good; on a class never seen it knows nothing.
    """
    rng = np.random.default_rng(seed)
    labels = np.arange(items) % classes
    old_centres = rng.normal(size=(classes, 60))
    new_centres = rng.normal(size=(classes, 60))
    old = old_centres[labels] + 1.0 * rng.normal(size=(items, 60))
    new = new_centres[labels] + 0.5 * rng.normal(size=(items, 60))
    return Pairs.of(np.arange(items), old, new, labels)
