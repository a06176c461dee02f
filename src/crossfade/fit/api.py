"""``fit``: pairs in, upgrade out, with a report of what it can do on held-out pairs."""

from __future__ import annotations

import time
import warnings
from dataclasses import replace
from pathlib import Path
from typing import Any

from crossfade.embeddings import Pairs, QueryLog
from crossfade.errors import InvalidInput, require_instance
from crossfade.fit.auto import choose
from crossfade.fit.held_out import Split, held_out_curves, split_pairs
from crossfade.fit.item_offset import checked_log, nearness_of, queries_used, with_item_offset
from crossfade.fit.methods import Method, method_named
from crossfade.fit.ordering import with_chosen_order, with_ordering
from crossfade.fit.settings import FitSettings, ProgressCallback
from crossfade.upgrade import UnlikeQueriesWarning, Upgrade, why_unlike

__all__ = ["FewPairsWarning", "UnlikeQueriesWarning", "UnusedQueriesWarning", "fit"]

_FEWEST_TO_HOLD_OUT = 64
# What fitting keeps in memory of memory-mapped pairs.
_MOST_FITTING_BYTES = 512 * 2**20
_MOST_FITTING_PAIRS = 100_000


class FewPairsWarning(UserWarning):
    """Fewer pairs than dimensions: the maps lean on their regularisation."""


class UnusedQueriesWarning(UserWarning):
    """Queries were given, and nothing was learned from them."""


def fit(
    pairs: Pairs,
    method: str = "auto",
    *,
    queries: QueryLog | None = None,
    progress: ProgressCallback | None = None,
    pairs_file: Path | None = None,
    **settings: Any,
) -> Upgrade:
    """Fit an upgrade from the old space to the new one.

    A part of the pairs is held out; the backfilling curve on it goes into the report.
    Closed-form methods are then fitted again on all pairs. ``auto`` fits several methods and
    keeps the one with the best held-out curve; with labels, methods that use them compete.

    Args:
        pairs: items in both spaces; call ``pairs.without_labels()`` to ignore labels.
        method: a name from :data:`crossfade.fit.methods.METHODS`, or ``"auto"``.
        queries: real queries, from a log for instance, or :func:`crossfade.stand_in_queries` in
            their place, in both spaces; nothing need be known of what they find, and their old
            embeddings serve two-encoder mode alone. Maps on the items' side then know which items
            are hubs (:mod:`crossfade.upgrade.item_offset`), and learn to rank as the new model does
            (:mod:`crossfade.upgrade.log_ranking`), from 64 pairs on, unless they have a new-space
            head or are ``forward_kernel``. Closed forms are fitted five times more for it. The
            report's ``queries_used`` says how many were looked at: 2,000 at most tell hubs, 20,000
            teach. With 500 the gain is clear. Don't evaluate on these.
        progress: called as fitting goes on.
        pairs_file: where the pairs were read from, for the report.
        settings: fields of :class:`crossfade.fit.settings.FitSettings`, e.g. ``seed=0``.

    Raises:
        InvalidInput: an unknown method or setting, labels missing, too few pairs or queries.
        SpaceMismatch: queries of another width than the new embeddings.
        MissingExtra: a trained method without PyTorch.
    """
    started = time.monotonic()
    require_instance(pairs, Pairs, "pairs", "Pairs.load(path), or Pairs.of(ids, old, new)")
    chosen = FitSettings().but(**settings)
    candidates = None if method == "auto" else [method_named(method)]
    if len(pairs) < 2:
        raise InvalidInput(f"fitting needs at least 2 pairs, got {len(pairs)}")
    asked = None if queries is None else checked_log(queries, pairs)
    _warn_of_few(pairs)
    nearness = None if asked is None else nearness_of(asked, pairs)
    if nearness is not None and (unlike := why_unlike(nearness)) is not None:
        warnings.warn(unlike, UnlikeQueriesWarning, stacklevel=2)
    split = _split(pairs, chosen)
    if candidates is None:
        upgrade, report = choose(pairs, split, chosen, progress, asked)
    else:
        upgrade, report = _fit_one(candidates[0], pairs, split, chosen, progress, asked)
    used = queries_used(asked, upgrade.offset)
    if asked is not None and not used:
        why = f"{upgrade.method} makes no use of queries"
        if split is None:
            why = f"{len(pairs)} pairs are too few to hold any out, which queries take"
        warnings.warn(f"{why}: they changed nothing", UnusedQueriesWarning, stacklevel=2)
    return replace(
        upgrade,
        report={
            **report,
            **upgrade.report,
            "requested": method,
            "pairs": len(pairs),
            "pairs_file": None if pairs_file is None else str(pairs_file.absolute()),
            "labels_used": pairs.labels is not None,
            "queries_used": used,
            "queries_nearness": nearness,
            "queries_sha256": None if asked is None else asked.fingerprint(),
            "data_sha256": pairs.fingerprint(),
            "settings": chosen.describe(),
            "seconds": round(time.monotonic() - started, 3),
        },
    )


def _fit_one(
    method: Method,
    pairs: Pairs,
    split: Split | None,
    settings: FitSettings,
    progress: ProgressCallback | None,
    queries: QueryLog | None,
) -> tuple[Upgrade, dict[str, Any]]:
    fit_method = method.load()
    if split is None:
        upgrade = fit_method(pairs, settings, progress)
        return with_ordering(upgrade, pairs, settings), {"held_out": None}
    judged = fit_method(split.fitting, settings, progress)
    final = fit_method(pairs, settings, progress) if method.closed_form else judged
    # Orders first: on the pairs themselves an offset says nothing but that they were fitted on.
    ordered, orders = with_chosen_order(judged, final, split, pairs, settings)
    judged, upgrade = with_item_offset(judged, ordered, split, settings, queries)
    curves = held_out_curves(judged, split.held_out, settings.seed)
    return upgrade, {"held_out": [curve.describe() for curve in curves], **orders}


def _split(pairs: Pairs, settings: FitSettings) -> Split | None:
    if len(pairs) < _FEWEST_TO_HOLD_OUT:
        return None
    row_bytes = 4 * (pairs.source.dim + pairs.target.dim)
    most = min(_MOST_FITTING_PAIRS, _MOST_FITTING_BYTES // row_bytes)
    return split_pairs(pairs, settings.held_out, settings.seed, most)


def _warn_of_few(pairs: Pairs) -> None:
    widest = max(pairs.source.dim, pairs.target.dim)
    if len(pairs) < widest:
        warnings.warn(
            f"{len(pairs)} pairs for {widest} dimensions: the maps are regularised, but expect "
            "a lower curve and check it on held-out queries; more pairs help most",
            FewPairsWarning,
            stacklevel=3,
        )
