"""Offsets of items for the maps that have them: see :mod:`crossfade.upgrade.item_offset`."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from crossfade.embeddings import FloatArray, Pairs, QueryLog
from crossfade.errors import InvalidInput, require_instance
from crossfade.fit.held_out import Split
from crossfade.fit.log_ranking import learned_from_log
from crossfade.fit.settings import FitSettings
from crossfade.upgrade import (
    BY_ITEMS,
    FEWEST_QUERIES,
    MOST_QUERIES,
    MOST_TEACHING,
    NEARNESS_ITEMS,
    Images,
    ItemOffset,
    PairSample,
    Upgrade,
    doubt_of,
    log_nearness,
    offset_of,
    rule_for_log,
    with_matrix,
)

__all__ = ["checked_log", "nearness_of", "queries_used", "with_item_offset"]

_MOST_ITEMS = 1_000


def checked_log(queries: QueryLog, pairs: Pairs) -> QueryLog:
    """A log that offsets can be told by, at unit length.

    Raises:
        InvalidInput: it is none, or holds too few queries. SpaceMismatch: of other widths.
    """
    require_instance(queries, QueryLog, "queries", "QueryLog.load(path), or QueryLog(new, old)")
    checked = queries.checked(pairs.source.dim, pairs.target.dim)
    if len(checked) < FEWEST_QUERIES:
        raise InvalidInput(
            f"got {len(checked)} queries, wanted at least {FEWEST_QUERIES}: so few say more about "
            "themselves than about what is asked for; leave them out, or take more from a log"
        )
    return checked


def nearness_of(log: QueryLog, pairs: Pairs) -> float:
    """How near the log's queries are to items like the pairs', by a sample of these.

    See :func:`crossfade.upgrade.log_nearness`.
    """
    rows = np.random.default_rng(0).permutation(len(pairs))[:NEARNESS_ITEMS]
    return log_nearness(log, pairs.new_rows(np.sort(rows)))


def with_item_offset(
    judged: Upgrade,
    final: Upgrade,
    split: Split,
    settings: FitSettings,
    queries: QueryLog | None = None,
) -> tuple[Upgrade, Upgrade]:
    """Both upgrades with an offset if theirs is a kernel map, or will be, or queries are given.

    Other maps that are fitted again on their way have a blank one, which queries may teach later.
    What a map shrinks is not seen on the pairs it was fitted on: a kernel repeats those. So a
    kernel map that does not know which pairs those were (``forward_kernel``) has no offset, and
    neither has a map onto rho's space.

    Args:
        judged: fitted on ``split.fitting``. final: the one that is handed on.
        queries: real ones, none of which is evaluated on.
    """
    lengths = _Lengths.of(judged, final, split.fitting)
    if judged.forward is None or final.rho is not None:
        return judged, final
    if lengths is None and judged.forward.kernel is not None:
        return judged, final
    if lengths is None and queries is None:
        if final.refit is None:
            return judged, final
        blank = ItemOffset.blank(final.source.dim, final.target.dim)
        return judged.with_offset(blank), final.with_offset(blank)
    held_out = split.held_out
    count = min(_MOST_ITEMS, len(held_out))
    rows = np.linspace(0, len(held_out) - 1, count).round().astype(np.intp)
    old = held_out.old_rows(rows)
    raw = judged.forward.raw(old)
    left_out = Images(old, held_out.new_rows(rows), raw, judged.forward.scaled(raw))
    rule = BY_ITEMS
    if queries is not None:
        rule = rule_for_log(queries, lengths_mean_something=lengths is not None)
    bank, old_bank = _banks(queries, lengths)
    mean = np.zeros(final.target.dim, np.float32) if lengths is None else lengths.mean
    doubt = 0.0 if lengths is None else lengths.doubt
    offset = offset_of(rule, left_out, bank, old_bank, mean=mean, doubt=doubt)
    if queries is not None:
        teaching = queries.sample(MOST_TEACHING).new
        matrix = learned_from_log(judged, split, teaching, offset, settings)
        offset = with_matrix(offset, matrix, left_out)
    return judged.with_offset(offset), final.with_offset(offset)


def queries_used(log: QueryLog | None, offset: ItemOffset | None) -> int:
    """How many queries of the log that an offset was fitted with were looked at."""
    if log is None or offset is None:
        return 0
    return len(offset.bank) if offset.distilled is None else min(len(log), MOST_TEACHING)


def _banks(
    queries: QueryLog | None, lengths: _Lengths | None
) -> tuple[FloatArray, FloatArray | None]:
    """New vectors, and old ones if there are."""
    if queries is not None:
        drawn = queries.sample(MOST_QUERIES)
        return drawn.new, drawn.old
    assert lengths is not None
    # In random order, so that what comes first is a sample too.
    return lengths.items.new[:_MOST_ITEMS], lengths.items.old[:_MOST_ITEMS]


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
    def of(cls, judged: Upgrade, final: Upgrade, fitting: Pairs) -> _Lengths | None:
        """Of kernel maps, and of maps that will be, that know what they were fitted on, or None.

        Args:
            fitting: the pairs that ``judged`` was fitted on.
        """
        if final.refit is None or judged.refit is None or not judged.has_kernel:
            return None
        items = judged.refit.sample
        if items is None:
            rows = np.random.default_rng(0).permutation(len(fitting))[:_MOST_ITEMS]
            items = PairSample(fitting.old_rows(rows), fitting.new_rows(rows))
        moments = final.refit.moments
        return cls(
            moments.mean_y.astype(np.float32),
            doubt_of(moments.n / max(final.source.dim, final.target.dim)),
            items,
        )
