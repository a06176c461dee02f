"""Teaching an upgrade by queries that came after it was fitted: those that its gallery answers.

What a log of queries tells (:mod:`.item_offset`), which items are near to any query, and how the
new model ranks where it is asked, is told by images of items that the map was not fitted on. An
artifact that fits a kernel map again carries a sample of its pairs, of which maps fitted without
them make these; for others they are the first backfilled items. The map itself stays as it is.
"""

from __future__ import annotations

import numpy as np

from crossfade.embeddings import QueryLog
from crossfade.errors import InvalidInput
from crossfade.upgrade.item_offset import ItemOffset
from crossfade.upgrade.kernel_maps import residual_kernel
from crossfade.upgrade.linear_maps import turned_ridge_map
from crossfade.upgrade.log_ranking import Images, learned_matrix
from crossfade.upgrade.moments import Moments
from crossfade.upgrade.offset_rules import (
    FEWEST_QUERIES,
    MOST_QUERIES,
    MOST_TEACHING,
    offset_of,
    rule_for_log,
    with_matrix,
)
from crossfade.upgrade.refit import Fresh, Refit
from crossfade.upgrade.transform import Transform
from crossfade.upgrade.upgrade import Upgrade

__all__ = [
    "can_be_taught",
    "images_left_out",
    "queries_known",
    "queries_to_teach",
    "taught_offset",
    "teaches_more",
]

_FOLDS = 5
_FEWEST_ITEMS, _MOST_USUAL = 500, 1_000
_SEED = 0
_GROWTH = 2


def can_be_taught(upgrade: Upgrade) -> bool:
    """Whether queries can teach it: a map that is fitted again or corrected, and has offsets."""
    return upgrade.refit is not None and upgrade.offset is not None


def queries_known(upgrade: Upgrade) -> int:
    """How many queries its offsets are told by, 2,000 at most."""
    offset = upgrade.offset
    return len(offset.bank) if offset is not None and offset.new_side > 0.0 else 0


def teaches_more(known: int, queries: int) -> bool:
    """Whether so many queries tell enough beyond those known by which it was taught before."""
    return queries >= max(FEWEST_QUERIES, _GROWTH * known) and known < MOST_QUERIES


def queries_to_teach(upgrade: Upgrade, queries: QueryLog) -> QueryLog:
    """The queries at unit length, if they can teach the upgrade.

    Raises:
        InvalidInput: it can't be taught, or not by so few. SpaceMismatch: of another width.
    """
    if not can_be_taught(upgrade):
        raise InvalidInput(
            f"this upgrade by {upgrade.method!r} can't learn from queries after it was fitted: fit "
            "it anew with a log, fit(pairs, queries=log), or by auto"
        )
    checked = queries.checked(upgrade.source.dim, upgrade.target.dim)
    if len(checked) < FEWEST_QUERIES:
        raise InvalidInput(f"got {len(checked)} queries, wanted at least {FEWEST_QUERIES}")
    return checked


def taught_offset(upgrade: Upgrade, queries: QueryLog, extra: Fresh | None) -> ItemOffset | None:
    """What the upgrade's offsets are by a log: about what they are if it is fitted with it.

    None as long as there are too few items to tell it by.

    Args:
        upgrade: as it was fitted. queries: of :func:`queries_to_teach`.
        extra: the backfilled items.
    """
    assert upgrade.offset is not None
    left_out = _left_out(upgrade, extra)
    if left_out is None:
        return None
    some = left_out.of(slice(0, _MOST_USUAL))
    drawn = queries.sample(MOST_QUERIES)
    offset = offset_of(
        rule_for_log(queries, lengths_mean_something=_has_kernel(upgrade)),
        some,
        drawn.new,
        drawn.old,
        mean=upgrade.offset.mean,
        doubt=upgrade.offset.doubt,
    )
    matrix = learned_matrix(left_out, queries.sample(MOST_TEACHING).new, offset, _SEED)
    return with_matrix(offset, matrix, some)


def _has_kernel(upgrade: Upgrade) -> bool:
    """Whether its map is a kernel map, or becomes one."""
    return upgrade.refit is not None and upgrade.refit.sample is not None


def _left_out(upgrade: Upgrade, extra: Fresh | None) -> Images | None:
    """Items as a map images them that knows nothing of them; None for too few."""
    assert upgrade.refit is not None and upgrade.forward is not None
    if _has_kernel(upgrade):
        return images_left_out(upgrade.refit)
    if extra is None or len(extra.sample) < _FEWEST_ITEMS:
        return None
    items = extra.drawn()
    raw = upgrade.forward.raw(items.old)
    return Images(items.old, items.new, raw, upgrade.forward.scaled(raw))


def images_left_out(refit: Refit) -> Images:
    """The sample of a kernel map's pairs, a fifth at a time mapped by a map that never saw it."""
    sample = refit.sample
    assert sample is not None
    raw = np.empty_like(sample.new)
    fold = np.arange(len(sample)) % _FOLDS
    for number in range(_FOLDS):
        out, rest = fold == number, fold != number
        moments = refit.moments - Moments.of(sample.old[out], sample.new[out])
        skip = turned_ridge_map(moments, refit.penalty, refit.rotation_share)
        kernel = residual_kernel(sample.old[rest], sample.new[rest], skip)
        raw[out] = Transform(skip, kernel=kernel).raw(sample.old[out])
    return Images(sample.old, sample.new, raw, Transform.scaled(raw))
