"""Offsets of items for the maps that have them: see :mod:`crossfade.upgrade.item_offset`."""

from __future__ import annotations

from dataclasses import dataclass, replace

import numpy as np

from crossfade.embeddings import FloatArray, Pairs, QueryLog
from crossfade.errors import InvalidInput
from crossfade.fit.held_out import Split
from crossfade.fit.log_ranking import learned_from_log
from crossfade.fit.settings import FitSettings
from crossfade.upgrade import ItemOffset, OffsetWeights, PairSample, Upgrade, closeness, doubt_of

__all__ = ["checked_log", "queries_used", "with_item_offset"]

_MOST_ITEMS = 1_000
_FEWEST_QUERIES, _MOST_QUERIES = 200, 2_000
"""Every search pays for what tells hubs; for what teaches the map only fitting does."""
_MOST_TEACHING = 20_000
_LITTLE_UNEXPLAINED = 0.25
"""A map that leaves less of the new space's variance unexplained needs less of all this."""


@dataclass(frozen=True)
class _Rule:
    """Numbers of :class:`ItemOffset` that were tried out (``docs/experiments.md``)."""

    one_encoder: OffsetWeights
    two_encoders: OffsetWeights
    nearest: int
    push: float
    new_side: float = 0.0


_BY_ITEMS = _Rule(OffsetWeights(0.3, 0.25), OffsetWeights(0.6, 0.05, 0.25), nearest=10, push=0.04)
_BY_QUERIES = _Rule(
    OffsetWeights(0.1, 0.4), OffsetWeights(0.2, 0.7), nearest=3, push=0.04, new_side=1.0
)
"""Real queries tell hubs better than anything else does, so less is left to u."""
_BY_QUERIES_OF_BOTH = replace(_BY_QUERIES, two_encoders=OffsetWeights(0.2, 0.5, 0.5))
_OF_QUERIES_ALONE = _Rule(
    OffsetWeights(0.0, 0.4), OffsetWeights(0.0, 0.5), nearest=3, push=0.0, new_side=1.0
)
"""Lengths of networks mean nothing, and those of a ridge of many pairs little."""


def checked_log(queries: QueryLog, pairs: Pairs) -> QueryLog:
    """A log that offsets can be told by, at unit length.

    Raises:
        InvalidInput: it is none, or holds too few queries. SpaceMismatch: of other widths.
    """
    if not isinstance(queries, QueryLog):
        raise InvalidInput(
            f"queries is a {type(queries).__name__}, wanted a crossfade.QueryLog: "
            "QueryLog.load(path), or QueryLog(new, old)"
        )
    checked = queries.checked(pairs.source.dim, pairs.target.dim)
    if len(checked) < _FEWEST_QUERIES:
        raise InvalidInput(
            f"got {len(checked)} queries, wanted at least {_FEWEST_QUERIES}: so few say more about "
            "themselves than about what is asked for; leave them out, or take more from a log"
        )
    return checked


def with_item_offset(
    judged: Upgrade,
    final: Upgrade,
    split: Split,
    settings: FitSettings,
    queries: QueryLog | None = None,
) -> tuple[Upgrade, Upgrade]:
    """Both upgrades with an offset if theirs is a kernel map, or will be, or queries are given.

    What a map shrinks is not seen on the pairs it was fitted on: a kernel repeats those. So a
    kernel map that does not know which pairs those were (``forward_kernel``) has no offset, and
    neither has a map onto rho's space.

    Args:
        judged: fitted on ``split.fitting``. final: the one that is handed on.
        queries: real ones, none of which is evaluated on.
    """
    lengths = _Lengths.of(judged, final)
    if judged.forward is None or final.rho is not None or not (lengths or queries):
        return judged, final
    if lengths is None and judged.forward.kernel is not None:
        return judged, final
    held_out = split.held_out
    count = min(_MOST_ITEMS, len(held_out))
    rows = np.linspace(0, len(held_out) - 1, count).round().astype(np.intp)
    old = held_out.old_rows(rows)
    raw = judged.forward.raw(old)
    mapped, new = judged.forward.scaled(raw), held_out.new_rows(rows)
    rule = _rule(queries, lengths)
    bank, old_bank = _banks(queries, lengths)
    if old_bank is None or not rule.two_encoders.t:
        old_bank = np.empty((0, final.source.dim), np.float32)
    mean = np.zeros(final.target.dim, np.float32) if lengths is None else lengths.mean
    needed = min(1.0, _unexplained(mapped, new) / _LITTLE_UNEXPLAINED)
    offset = ItemOffset(
        mean,
        np.ascontiguousarray(bank),
        np.ascontiguousarray(old_bank),
        rule.one_encoder.times(needed),
        rule.two_encoders.times(needed),
        doubt=0.0 if lengths is None else lengths.doubt,
        typical=float(((raw - mean).astype(np.float64) ** 2).sum(axis=1).mean()),
        usual=float(closeness(mapped, bank, rule.nearest).mean()),
        usual_old=float(closeness(old, old_bank, rule.nearest).mean()) if len(old_bank) else 0.0,
        nearest=rule.nearest,
        push=rule.push * needed,
        new_side=rule.new_side,
        usual_new=float(closeness(new, bank, rule.nearest).mean()) if rule.new_side else 0.0,
    )
    if queries is not None:
        teaching = queries.sample(_MOST_TEACHING).new
        matrix = learned_from_log(judged, split.fitting, teaching, offset, settings)
        if matrix is not None:
            offset = replace(offset, distilled=np.float32(needed) * matrix)
    return judged.with_offset(offset), final.with_offset(offset)


def queries_used(log: QueryLog | None, offset: ItemOffset | None) -> int:
    """How many queries of the log that an offset was fitted with were looked at."""
    if log is None or offset is None:
        return 0
    return len(offset.bank) if offset.distilled is None else min(len(log), _MOST_TEACHING)


def _rule(queries: QueryLog | None, lengths: _Lengths | None) -> _Rule:
    if queries is None:
        return _BY_ITEMS
    if lengths is None:
        return _OF_QUERIES_ALONE
    return _BY_QUERIES if queries.old is None else _BY_QUERIES_OF_BOTH


def _banks(
    queries: QueryLog | None, lengths: _Lengths | None
) -> tuple[FloatArray, FloatArray | None]:
    """New vectors, and old ones if there are."""
    if queries is not None:
        drawn = queries.sample(_MOST_QUERIES)
        return drawn.new, drawn.old
    assert lengths is not None
    # In random order, so that what comes first is a sample too.
    return lengths.items.new[:_MOST_ITEMS], lengths.items.old[:_MOST_ITEMS]


def _unexplained(mapped: FloatArray, new: FloatArray) -> float:
    """Squared error of mapped items relative to the variance of their new vectors."""
    error = ((new - mapped).astype(np.float64) ** 2).sum(axis=1).mean()
    variance = new.astype(np.float64).var(axis=0).sum()
    return float(error / max(variance, 1e-9))


@dataclass(frozen=True, eq=False)
class _Lengths:
    """What makes lengths of images mean something: see :mod:`crossfade.upgrade.item_offset`.

    Attributes:
        mean: ``(d_new,)`` of the new space. doubt: a.
        items: a sample of what was fitted on.
    """

    mean: FloatArray
    doubt: float
    items: PairSample

    @classmethod
    def of(cls, judged: Upgrade, final: Upgrade) -> _Lengths | None:
        """Of kernel maps, and of maps that will be; None for others."""
        if final.refit is None or judged.refit is None or judged.refit.sample is None:
            return None
        moments = final.refit.moments
        return cls(
            moments.mean_y.astype(np.float32),
            doubt_of(moments.n / max(final.source.dim, final.target.dim)),
            judged.refit.sample,
        )
