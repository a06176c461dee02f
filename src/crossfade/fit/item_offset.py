"""Offsets of items for the maps that have them: see :mod:`crossfade.upgrade.item_offset`."""

from __future__ import annotations

from dataclasses import dataclass, replace

import numpy as np

from crossfade.embeddings import FloatArray, Pairs
from crossfade.upgrade import ItemOffset, OffsetWeights, Upgrade, doubt_of

__all__ = ["with_item_offset"]

_MOST_ITEMS = 1_000
_MOST_QUERIES = 2_000


@dataclass(frozen=True)
class _Rule:
    """Numbers of :class:`ItemOffset` that were tried out (``docs/experiments.md``)."""

    one_encoder: OffsetWeights
    two_encoders: OffsetWeights
    nearest: int
    push: float


_BY_ITEMS = _Rule(OffsetWeights(0.3, 0.25), OffsetWeights(0.6, 0.1), nearest=10, push=0.04)
_BY_QUERIES = _Rule(OffsetWeights(0.1, 0.4), OffsetWeights(0.2, 0.7), nearest=3, push=0.04)
"""Real queries tell hubs better than anything else does, so less is left to u."""
_OF_QUERIES_ALONE = _Rule(OffsetWeights(0.0, 0.4), OffsetWeights(0.0, 0.5), nearest=3, push=0.0)
"""Lengths of networks mean nothing, and those of a ridge of many pairs little."""


def with_item_offset(
    judged: Upgrade, final: Upgrade, held_out: Pairs, queries: FloatArray | None = None
) -> tuple[Upgrade, Upgrade]:
    """Both upgrades with an offset if theirs is a kernel map, or will be, or queries are given.

    What a map shrinks is not seen on the pairs it was fitted on: a kernel repeats those.

    Args:
        judged: fitted without ``held_out``. final: the one that is handed on.
        queries: ``(q, d_new)`` real queries, none of which is evaluated on.
    """
    lengths = _Lengths.of(judged, final)
    if judged.forward is None or (lengths is None and queries is None) or final.rho is not None:
        return judged, final
    count = min(_MOST_ITEMS, len(held_out))
    rows = np.linspace(0, len(held_out) - 1, count).round().astype(np.intp)
    raw = judged.forward.raw(held_out.old_rows(rows))
    if queries is not None:
        rule = _OF_QUERIES_ALONE if lengths is None else _BY_QUERIES
        bank = queries[np.random.default_rng(0).permutation(len(queries))[:_MOST_QUERIES]]
    else:
        assert lengths is not None
        rule, bank = _BY_ITEMS, lengths.items
    mean = np.zeros(final.target.dim, np.float32) if lengths is None else lengths.mean
    offset = ItemOffset(
        mean,
        np.ascontiguousarray(bank, dtype=np.float32),
        one_encoder=rule.one_encoder,
        two_encoders=rule.two_encoders,
        doubt=0.0 if lengths is None else lengths.doubt,
        typical=float(((raw - mean).astype(np.float64) ** 2).sum(axis=1).mean()),
        nearest=rule.nearest,
        push=rule.push,
    )
    usual = float(offset.closeness(judged.forward.scaled(raw)).mean())
    offset = replace(offset, usual=usual)
    return judged.with_offset(offset), final.with_offset(offset)


@dataclass(frozen=True, eq=False)
class _Lengths:
    """What makes lengths of images mean something: see :mod:`crossfade.upgrade.item_offset`.

    Attributes:
        mean: ``(d_new,)`` of the new space. doubt: a.
        items: ``(m, d_new)`` some that were fitted on.
    """

    mean: FloatArray
    doubt: float
    items: FloatArray

    @classmethod
    def of(cls, judged: Upgrade, final: Upgrade) -> _Lengths | None:
        """Of kernel maps, and of maps that will be; None for others."""
        if final.refit is None or judged.refit is None or judged.refit.sample is None:
            return None
        moments = final.refit.moments
        return cls(
            moments.mean_y.astype(np.float32),
            doubt_of(moments.n / max(final.source.dim, final.target.dim)),
            # In random order, so that what comes first is a sample too.
            judged.refit.sample.new[:_MOST_ITEMS],
        )
