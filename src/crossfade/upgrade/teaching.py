"""Teaching an upgrade by queries that came after it was fitted: those that its gallery answers.

What a log of queries tells (:mod:`.item_offset`), which items are near to any query, and how the
new model ranks where it is asked, is told by images of items that the map was not fitted on. An
artifact that fits a kernel map again carries its pairs, of some of which maps fitted without
them make these; for others they are the first backfilled items. The map itself stays as it is.
"""

from __future__ import annotations

from collections.abc import Callable

import numpy as np

from crossfade.embeddings import QueryLog, unit_rows
from crossfade.errors import InvalidInput
from crossfade.upgrade.item_offset import ItemOffset
from crossfade.upgrade.kernel_maps import residual_kernel
from crossfade.upgrade.linear_maps import turned_ridge_map
from crossfade.upgrade.log_nearness import NEARNESS_ITEMS, log_nearness, why_unlike
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
    "queries_to_teach",
    "require_teachable",
    "taught_offset",
    "teaches_more",
    "why_harmful",
]

_FOLDS = 5
_FEWEST_ITEMS, _MOST_USUAL = 500, 1_000
_MOST_LEFT_OUT = 5_000
_SEED = 0
_GROWTH = 2


def can_be_taught(upgrade: Upgrade) -> bool:
    """Whether queries can teach it: a map that is fitted again or corrected, and has offsets."""
    return upgrade.refit is not None and upgrade.offset is not None


def require_teachable(upgrade: Upgrade) -> None:
    """Raise InvalidInput if queries can't teach it."""
    if not can_be_taught(upgrade):
        raise InvalidInput(
            f"this upgrade by {upgrade.method!r} can't learn from queries after it was fitted: "
            "leave them out, or fit it anew with a log, fit(pairs, queries=log), or by auto"
        )


def teaches_more(upgrade: Upgrade, taught_by: int, queries: int) -> bool:
    """Whether so many recorded queries tell enough beyond those by which it was taught before.

    Twice as many do, and 2,000 that its own service was asked beside any that it was fitted with,
    which may have been texts in their place. What 2,000 of its own have taught is left alone.

    Args:
        taught_by: how many of its own it has learned from.
    """
    if taught_by >= MOST_QUERIES:
        return False
    known = taught_by or _fitted_with(upgrade)
    return queries >= max(FEWEST_QUERIES, min(_GROWTH * known, MOST_QUERIES))


def _fitted_with(upgrade: Upgrade) -> int:
    """How many queries of a log it was fitted with, 2,000 at most."""
    offset = upgrade.offset
    return len(offset.bank) if offset is not None and offset.new_side > 0.0 else 0


def queries_to_teach(
    upgrade: Upgrade, queries: QueryLog, *, least: int = FEWEST_QUERIES
) -> QueryLog:
    """What of a log is learned from: distinct queries at unit length, 20,000 at most.

    Raises:
        InvalidInput: the upgrade can't be taught, or there are fewer than ``least``.
        SpaceMismatch: they are of another width.
    """
    require_teachable(upgrade)
    distinct = queries.checked(upgrade.source.dim, upgrade.target.dim).distinct()
    if len(distinct) < least:
        raise InvalidInput(f"got {len(distinct)} distinct queries, wanted at least {least}")
    return distinct if len(distinct) <= MOST_TEACHING else distinct.sample(MOST_TEACHING)


def why_harmful(upgrade: Upgrade, queries: QueryLog) -> str | None:
    """Why nothing is to be learned from queries that find nothing near; None if they do.

    None as well if the upgrade carries no items of the new space to tell by.
    """
    rule = upgrade.two_encoder
    if rule is None:
        return None
    return why_unlike(log_nearness(queries, unit_rows(rule.reference_new[:NEARNESS_ITEMS])))


def taught_offset(
    upgrade: Upgrade,
    queries: QueryLog,
    extra: Fresh | None,
    stopped: Callable[[], bool] = lambda: False,
) -> ItemOffset | None:
    """What the upgrade's offsets are by a log: about what they are if it is fitted with it.

    None as long as there are too few items to tell it by, or if it was stopped.

    Args:
        upgrade: as it was fitted. queries: that may teach it (:func:`queries_to_teach`).
        extra: the backfilled items.
        stopped: asked every second or so.
    """
    assert upgrade.offset is not None
    left_out = _left_out(upgrade, extra, stopped)
    if left_out is None:
        return None
    some = left_out.of(slice(0, _MOST_USUAL))
    drawn = queries.sample(MOST_QUERIES)
    offset = offset_of(
        rule_for_log(queries, lengths_mean_something=upgrade.has_kernel),
        some,
        drawn.new,
        drawn.old,
        mean=upgrade.offset.mean,
        doubt=upgrade.offset.doubt,
    )
    teaching = queries.sample(MOST_TEACHING).new
    matrix = learned_matrix(left_out, teaching, offset, _SEED, stopped)
    return None if stopped() else with_matrix(offset, matrix, some)


def _left_out(upgrade: Upgrade, extra: Fresh | None, stopped: Callable[[], bool]) -> Images | None:
    """Items as a map images them that knows nothing of them; None for too few, or if stopped."""
    assert upgrade.refit is not None and upgrade.forward is not None
    if upgrade.refit.sample is not None:
        return images_left_out(upgrade.refit, stopped)
    if extra is None or len(extra.sample) < _FEWEST_ITEMS:
        return None
    items = extra.drawn()
    raw = upgrade.forward.raw(items.old)
    return Images(items.old, items.new, raw, upgrade.forward.scaled(raw))


def images_left_out(refit: Refit, stopped: Callable[[], bool] = lambda: False) -> Images | None:
    """Some of a kernel map's pairs, a fifth at a time mapped by a map that never saw it.

    None if it was stopped.
    """
    assert refit.sample is not None
    sample = refit.sample.first(_MOST_LEFT_OUT)
    raw = np.empty_like(sample.new)
    fold = np.arange(len(sample)) % _FOLDS
    for number in range(_FOLDS):
        if stopped():
            return None
        out, rest = fold == number, fold != number
        moments = refit.moments - Moments.of(sample.old[out], sample.new[out])
        skip = turned_ridge_map(moments, refit.penalty, refit.rotation_share)
        kernel = residual_kernel(sample.old[rest], sample.new[rest], skip)
        raw[out] = Transform(skip, kernel=kernel).raw(sample.old[out])
    return Images(sample.old, sample.new, raw, Transform.scaled(raw))
