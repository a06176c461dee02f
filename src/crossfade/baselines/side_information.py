"""FCT with side information: what else was stored with an item helps to map it forward."""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import Any

import numpy as np
from numpy.typing import NDArray

from crossfade.baselines.protocol import evaluate_scores
from crossfade.embeddings import Pairs, Qrels, unit_rows
from crossfade.errors import InvalidInput
from crossfade.evaluation import EvaluationResult, Scores
from crossfade.evaluation.orders import backfill_order
from crossfade.evaluation.scoring import GalleryScorer
from crossfade.upgrade import Mode, Side, Upgrade

__all__ = ["evaluate_with_side_information", "with_side_information"]


def with_side_information(pairs: Pairs, side: Any) -> Pairs:
    """The same pairs, their old vectors widened by side information.

    Ramanujan et al., *Forward Compatible Training for Large-Scale Embedding Retrieval
    Systems*, CVPR 2022 (arXiv 2112.02805): while the old model is in use, a second, general
    embedding of every item is stored too, for no present need; later ``h(old, side)`` knows
    more of the item than ``h(old)``. ``crossfade.fit(with_side_information(pairs, side),
    "fct")``, or ``"fastfill"``, fits such an h.

    Args:
        side: ``(n, d_side)`` another embedding of the same items, aligned by row. Each half
            of the widened vector ``(n, d_old + d_side)`` has the same length.

    Raises:
        InvalidInput: another number of rows, or NaN or zero rows.
    """
    rows = unit_rows(side, name="side information")
    if len(rows) != len(pairs):
        raise InvalidInput(f"side information has {len(rows)} rows for {len(pairs)} pairs")
    return Pairs.of(
        pairs.ids,
        np.hstack([pairs.old_rows(), rows]) / np.sqrt(2.0),
        pairs.new_rows(),
        pairs.labels,
        old_name=f"{pairs.source.name}+side",
        new_name=pairs.target.name,
    )


def evaluate_with_side_information(
    upgrade: Upgrade,
    gallery_set: Pairs,
    gallery_side: Any,
    query_set: Pairs | None = None,
    *,
    qrels: Qrels | None = None,
    steps: int = 11,
    order: str = "random",
    seed: int = 0,
) -> EvaluationResult:
    """The backfilling curve of a forward map that was fitted with side information.

    Queries have none: they are embedded by the new model alone. The old system that the curve
    is compared with is the old model without side information.

    Args:
        upgrade: of side ``items``, fitted on :func:`with_side_information`.
        gallery_side: ``(n, d_side)`` of the gallery's items.
        gallery_set, query_set, qrels, steps, order, seed: as :func:`crossfade.evaluate` takes
            them, with plain old vectors.

    Raises:
        InvalidInput: an upgrade whose map works on queries, or of another width.
    """
    if upgrade.side is not Side.ITEMS:
        raise InvalidInput(
            f"method {upgrade.method!r} maps queries, which have no side information; fit a "
            "forward map such as 'fct'"
        )
    gallery = with_side_information(gallery_set, gallery_side)
    if upgrade.source.dim != gallery.source.dim:
        raise InvalidInput(
            f"the upgrade takes old vectors of width {upgrade.source.dim}, old vectors and side "
            f"information have {gallery.source.dim}; fit it on pairs with_side_information"
        )
    queries = gallery_set if query_set is None else query_set
    rows = backfill_order(order, gallery, upgrade.without_refits(), seed=seed)
    return evaluate_scores(
        _Scorer.of(upgrade, gallery_set, gallery, queries),
        gallery_set,
        queries,
        rows,
        method=f"{upgrade.method}+side",
        qrels=qrels,
        steps=steps,
        order=order,
        seed=seed,
    )


@dataclass(frozen=True, eq=False)
class _Scorer:
    """Old-side scores with side information, all others without."""

    with_side: GalleryScorer
    plain_old: NDArray[np.float32]
    queries: Pairs

    @classmethod
    def of(cls, upgrade: Upgrade, plain: Pairs, gallery: Pairs, queries: Pairs) -> _Scorer:
        by_id = np.argsort(plain.ids, kind="stable")
        # The scorer wants queries of the widened space; what it makes of them is not used.
        widened = Pairs.of(
            queries.ids,
            np.ones((len(queries), gallery.source.dim)),
            queries.new_rows(),
            old_name=gallery.source.name,
            new_name=gallery.target.name,
        )
        scorer = GalleryScorer(upgrade, gallery, widened, by_id, Mode.ONE_ENCODER)
        return cls(scorer, plain.old_rows(by_id), queries)

    def __call__(self, rows: NDArray[np.intp]) -> Scores:
        scores = self.with_side(rows)
        old_old = self.queries.old_rows(rows) @ self.plain_old.T
        return replace(scores, old_old=old_old)
