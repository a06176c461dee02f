"""Crossfade upgrades the embedding model of a live search index, online.

upgrade = crossfade.fit(crossfade.Pairs.load("pairs.npz"))
gallery = crossfade.open_gallery("qdrant://gallery", upgrade)
job = crossfade.Backfill(gallery, encoder=embed_with_the_new_model)
result = crossfade.evaluate(upgrade, gallery_set, query_set)
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

# Loaded before the function of the same name is defined: were the package first imported by
# a call of ``fit``, Python would put it in that function's place.
import crossfade.fit as _fit_package  # noqa: F401
from crossfade.backfill import Backfill
from crossfade.embeddings import Pairs, Qrels, QueryLog, QueryRecorder, Space, stand_in_queries
from crossfade.errors import CrossfadeError
from crossfade.evaluation import EvaluationResult, evaluate
from crossfade.gallery import Gallery, Hit, open_gallery, start_gallery
from crossfade.upgrade import Mode, Side, Upgrade, chained

if TYPE_CHECKING:
    from crossfade.assessment import Assessment

__all__ = [
    "Assessment",
    "Backfill",
    "CrossfadeError",
    "EvaluationResult",
    "Gallery",
    "Hit",
    "Mode",
    "Pairs",
    "Qrels",
    "QueryLog",
    "QueryRecorder",
    "Side",
    "Space",
    "Upgrade",
    "__version__",
    "assess",
    "chained",
    "evaluate",
    "fit",
    "open_gallery",
    "stand_in_queries",
    "start_gallery",
]

__version__ = "0.1.0"


def fit(pairs: Pairs, method: str = "auto", **settings: Any) -> Upgrade:
    """Fit an upgrade on pairs of old and new embeddings; see :func:`crossfade.fit.api.fit`."""
    # Imported here: only fitting needs PyTorch, and serving must never load it.
    from crossfade.fit.api import fit as fit_pairs

    return fit_pairs(pairs, method, **settings)


def assess(pairs: Pairs, queries: Pairs | None = None, **settings: Any) -> Assessment:
    """Say whether an upgrade is worth it; see :func:`crossfade.assessment.api.assess`."""
    # Imported here like fitting, which it does.
    from crossfade.assessment import assess as assess_sample

    return assess_sample(pairs, queries, **settings)


def __getattr__(name: str) -> Any:
    if name == "Assessment":
        from crossfade.assessment import Assessment

        return Assessment
    raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
