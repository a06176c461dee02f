"""Learning from a log of queries as a map is fitted: see :mod:`crossfade.upgrade.log_ranking`."""

from __future__ import annotations

import numpy as np

from crossfade.embeddings import FloatArray
from crossfade.fit.held_out import Split
from crossfade.fit.methods import METHODS, few_for_networks
from crossfade.fit.settings import FitSettings
from crossfade.upgrade import Images, ItemOffset, Upgrade, learned_matrix

__all__ = ["images_of", "learned_from_log"]

_FOLDS = 5
_MOST_ROWS = 20_000


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
    """Images of the pairs that a forward map was fitted on, or of those held out.

    Closed forms are fitted again without a fifth of the pairs at a time, so that each is mapped by
    a map that knows nothing of it. Networks, and ridges of very many pairs, hardly overfit. Kernel
    maps do, and take long: of very many pairs the few thousand held out have to do.
    """
    assert fitted.forward is not None
    method, pairs = METHODS[fitted.method], split.fitting
    if fitted.has_kernel and len(pairs) > _MOST_ROWS:
        pairs = split.held_out
        raw = fitted.forward.raw(pairs.old_rows())
        return Images(pairs.old_rows(), pairs.new_rows(), raw, fitted.forward.scaled(raw))
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
