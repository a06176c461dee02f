"""Image files in two spaces, for suites of drawings."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from crossfade.bench.cache import embed_cached
from crossfade.bench.models.drawings import HOG, hog
from crossfade.bench.models.efficientnet import efficientnet
from crossfade.bench.suite import BuildPlan
from crossfade.embeddings import FloatArray, Pairs

__all__ = ["pair_pictures", "spread"]


def pair_pictures(
    ids: NDArray[Any],
    paths: Sequence[Path],
    old: str,
    new: str,
    plan: BuildPlan,
    labels: NDArray[Any] | None = None,
) -> Pairs:
    """The images by two models, each :data:`HOG` or an EfficientNet-Lite's name."""
    old_rows, new_rows = (
        embed_cached(name, paths, _model(name), Path.read_bytes, plan.say) for name in (old, new)
    )
    return Pairs.of(ids, old_rows, new_rows, labels, old_name=old, new_name=new)


def spread(items: Sequence[Path], most: int) -> list[Path]:
    """At most so many of the items, evenly spread over them."""
    if len(items) <= most:
        return list(items)
    return [items[row] for row in np.linspace(0, len(items) - 1, most).round().astype(int)]


def _model(name: str) -> Callable[[Sequence[Path]], FloatArray]:
    return hog if name == HOG else efficientnet(name)
