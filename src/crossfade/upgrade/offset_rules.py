"""Which offsets items get: the rules, and what they are told by."""

from __future__ import annotations

from dataclasses import dataclass, replace

import numpy as np

from crossfade.embeddings import FloatArray, QueryLog
from crossfade.upgrade.item_offset import ItemOffset, OffsetWeights, closeness
from crossfade.upgrade.log_ranking import Images

__all__ = [
    "BY_ITEMS",
    "FEWEST_QUERIES",
    "MOST_QUERIES",
    "MOST_TEACHING",
    "OffsetRule",
    "offset_of",
    "rule_for_log",
    "with_matrix",
]

FEWEST_QUERIES, MOST_QUERIES = 200, 2_000
"""That tell hubs: every search pays for them. For what teaches the map only fitting does."""
MOST_TEACHING = 20_000
_LITTLE_UNEXPLAINED = 0.25
"""A map that leaves less of the new space's variance unexplained needs less of all this."""
_HARDLY_ANY = 0.5
"""Of that: what is told by items alone then costs at rank 1 what it gains, if it gains at all."""


@dataclass(frozen=True)
class OffsetRule:
    """Numbers of :class:`ItemOffset` that were tried out (``docs/experiments.md``)."""

    one_encoder: OffsetWeights
    two_encoders: OffsetWeights
    nearest: int
    push: float
    new_side: float = 0.0


BY_ITEMS = OffsetRule(
    OffsetWeights(0.3, 0.25), OffsetWeights(0.6, 0.05, 0.25), nearest=10, push=0.04
)
_BY_QUERIES = OffsetRule(
    OffsetWeights(0.1, 0.4), OffsetWeights(0.2, 0.7), nearest=3, push=0.04, new_side=1.0
)
"""Real queries tell hubs better than anything else does, so less is left to u."""
_BY_QUERIES_OF_BOTH = replace(_BY_QUERIES, two_encoders=OffsetWeights(0.2, 0.5, 0.5))
_OF_QUERIES_ALONE = OffsetRule(
    OffsetWeights(0.0, 0.4), OffsetWeights(0.0, 0.5), nearest=3, push=0.0, new_side=1.0
)
"""Lengths of networks mean nothing, and those of a ridge of many pairs little."""


def rule_for_log(queries: QueryLog, *, lengths_mean_something: bool) -> OffsetRule:
    """The rule where there is a log of queries.

    Args:
        lengths_mean_something: how long a map's images are says how sure it is, as of kernel maps.
    """
    if not lengths_mean_something:
        return _OF_QUERIES_ALONE
    return _BY_QUERIES if queries.old is None else _BY_QUERIES_OF_BOTH


def offset_of(
    rule: OffsetRule,
    left_out: Images,
    bank: FloatArray,
    old_bank: FloatArray | None,
    *,
    mean: FloatArray,
    doubt: float,
) -> ItemOffset:
    """The offset by a rule.

    Args:
        left_out: items that the map was not fitted on: what is usual.
        bank: ``(m, d_new)``. old_bank: ``(m, d_old)``, if there is one.
        mean: ``(d_new,)`` mu. doubt: a.
    """
    old, new, raw, mapped = left_out.old, left_out.new, left_out.raw, left_out.mapped
    if old_bank is None or not rule.two_encoders.t:
        old_bank = np.empty((0, old.shape[1]), np.float32)
    needed = _needed(left_out)
    if not rule.new_side:  # told by items
        needed = max(0.0, (needed - _HARDLY_ANY) / (1.0 - _HARDLY_ANY))
    return ItemOffset(
        mean,
        np.ascontiguousarray(bank),
        np.ascontiguousarray(old_bank),
        rule.one_encoder.times(needed),
        rule.two_encoders.times(needed),
        doubt=doubt,
        typical=float(((raw - mean).astype(np.float64) ** 2).sum(axis=1).mean()),
        usual=float(closeness(mapped, bank, rule.nearest).mean()),
        usual_old=float(closeness(old, old_bank, rule.nearest).mean()) if len(old_bank) else 0.0,
        nearest=rule.nearest,
        push=rule.push * needed,
        new_side=rule.new_side,
        usual_new=float(closeness(new, bank, rule.nearest).mean()) if rule.new_side else 0.0,
    )


def with_matrix(offset: ItemOffset, matrix: FloatArray | None, left_out: Images) -> ItemOffset:
    """An offset with D beside it, as far as the map needs it."""
    if matrix is None:
        return offset
    return replace(offset, distilled=np.float32(_needed(left_out)) * matrix)


def _needed(left_out: Images) -> float:
    """How much of all this a map needs, 0 to 1, by what it leaves unexplained."""
    mapped, new = left_out.mapped, left_out.new
    error = ((new - mapped).astype(np.float64) ** 2).sum(axis=1).mean()
    variance = new.astype(np.float64).var(axis=0).sum()
    return min(1.0, float(error / max(variance, 1e-9)) / _LITTLE_UNEXPLAINED)
