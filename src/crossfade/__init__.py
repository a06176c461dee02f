"""Crossfade upgrades the embedding model of a live search index, online.

upgrade = crossfade.fit(crossfade.Pairs.load("pairs.npz"))
gallery = crossfade.open_gallery("qdrant://gallery", upgrade)
job = crossfade.Backfill(gallery, encoder=embed_with_the_new_model)
result = crossfade.evaluate(upgrade, gallery_set, query_set)
"""

from __future__ import annotations

from typing import Any

# Loaded before the function of the same name is defined: were the package first imported by
# a call of ``fit``, Python would put it in that function's place.
import crossfade.fit as _fit_package  # noqa: F401
from crossfade.backfill import Backfill
from crossfade.embeddings import Pairs, Qrels, Space
from crossfade.errors import CrossfadeError
from crossfade.evaluation import EvaluationResult, evaluate
from crossfade.gallery import Gallery, Hit, open_gallery, start_gallery
from crossfade.upgrade import Mode, Side, Upgrade

__all__ = [
    "Backfill",
    "CrossfadeError",
    "EvaluationResult",
    "Gallery",
    "Hit",
    "Mode",
    "Pairs",
    "Qrels",
    "Side",
    "Space",
    "Upgrade",
    "__version__",
    "evaluate",
    "fit",
    "open_gallery",
    "start_gallery",
]

__version__ = "0.1.0"


def fit(pairs: Pairs, method: str = "auto", **settings: Any) -> Upgrade:
    """Fit an upgrade on pairs of old and new embeddings; see :func:`crossfade.fit.api.fit`."""
    # Imported here: only fitting needs PyTorch, and serving must never load it.
    from crossfade.fit.api import fit as fit_pairs

    return fit_pairs(pairs, method, **settings)
