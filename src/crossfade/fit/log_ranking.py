"""Learning from a log of queries as a map is fitted: see :mod:`crossfade.upgrade.log_ranking`."""

from __future__ import annotations

import numpy as np

from crossfade.embeddings import FloatArray, Pairs
from crossfade.fit.held_out import Split
from crossfade.fit.methods import METHODS, Method, few_for_networks
from crossfade.fit.settings import FitSettings
from crossfade.upgrade import Images, ItemOffset, Upgrade, learned_matrix

__all__ = ["images_of", "learned_from_log"]

_FOLDS = 5
_MOST_ROWS = 20_000
_MOST_OTHERS = 10_000


def learned_from_log(
    fitted: Upgrade,
    split: Split,
    queries: FloatArray,
    offset: ItemOffset,
    settings: FitSettings,
) -> FloatArray | None:
    """D, or None where there is nothing to be learned that holds for other queries too.

    Args:
        fitted: on the split's fitting pairs, with a forward map and without rho.
        queries: ``(q, d_new)`` real ones. offset: of the items, without D.
    """
    if not METHODS[fitted.method].closed_form and few_for_networks(split.fitting):
        return None
    if not fitted.calibration.is_identity:
        return None  # scores would not be those of the lists
    return learned_matrix(images_of(split, fitted, settings), queries, offset, settings.seed)


def images_of(split: Split, fitted: Upgrade, settings: FitSettings) -> Images:
    """Images of the pairs that a forward map was fitted on.

    Closed forms are fitted again without a fifth of the pairs at a time, so that each is mapped by
    a map that knows nothing of it. Networks, and ridges of very many pairs, hardly overfit. Kernel
    maps do, and take long: of very many pairs one map of some images some of the others. Those held
    out are left to judge by.
    """
    assert fitted.forward is not None
    method, pairs = METHODS[fitted.method], split.fitting
    if fitted.has_kernel and len(pairs) > _MOST_ROWS:
        return _images_of_others(pairs, method, settings)
    rng = np.random.default_rng([settings.seed, 8])
    rows = np.sort(rng.permutation(len(pairs))[:_MOST_ROWS])
    old, new = pairs.old_rows(rows), pairs.new_rows(rows)
    if not method.closed_form or len(rows) < len(pairs):
        raw = fitted.forward.raw(old)
    else:
        raw = np.empty_like(new)
        fold = rng.permutation(len(pairs)) % _FOLDS
        for number in range(_FOLDS):
            left_out = np.flatnonzero(fold == number)
            others = pairs.subset(np.flatnonzero(fold != number))
            forward = method.load()(others, settings, None).forward
            assert forward is not None
            raw[left_out] = forward.raw(old[left_out])
    return Images(old, new, raw, fitted.forward.scaled(raw))


def _images_of_others(pairs: Pairs, method: Method, settings: FitSettings) -> Images:
    order = np.random.default_rng([settings.seed, 8]).permutation(len(pairs))
    some, others = np.sort(order[:_MOST_ROWS]), np.sort(order[_MOST_ROWS:][:_MOST_OTHERS])
    forward = method.load()(pairs.subset(some), settings, None).forward
    assert forward is not None
    old = pairs.old_rows(others)
    raw = forward.raw(old)
    return Images(old, pairs.new_rows(others), raw, forward.scaled(raw))
