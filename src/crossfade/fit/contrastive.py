"""Metric-compatible contrastive learning: psi and rho trained with class labels."""

from __future__ import annotations

import functools

import torch

from crossfade.embeddings import Pairs
from crossfade.errors import InvalidInput
from crossfade.fit.losses import Negatives, contrastive_loss
from crossfade.fit.networks import MapNetwork
from crossfade.fit.settings import FitSettings, ProgressCallback
from crossfade.fit.systems import Batch, TwoSystems
from crossfade.fit.trained import TrainedMethod, fit_trained
from crossfade.upgrade import Side, Upgrade

__all__ = [
    "fit_contrastive",
    "fit_contrastive_own",
    "fit_contrastive_own_without_rho",
    "fit_contrastive_without_rho",
    "require_classes",
]


def fit_contrastive(
    pairs: Pairs,
    settings: FitSettings,
    progress: ProgressCallback | None = None,
    *,
    name: str = "contrastive",
    rho: bool = True,
    negatives: Negatives = "both",
) -> Upgrade:
    """The paper's full method: psi, rho, and one denominator of negatives for both systems.

    Seo et al., WACV 2025 (arXiv 2301.03767), section "Metric compatible contrastive
    learning"; the loss is :func:`crossfade.fit.losses.contrastive_loss`. rho(n) = n + MLP(n)
    with the last layer at zero, scaled to unit length again; rho(n) is what gets backfilled.
    Layer sizes, temperature and optimiser are ours: the paper's are not known.

    Args:
        rho: learn the new-space head too.
        negatives: ``"own"`` is the ablation with a denominator for each system.

    Raises:
        InvalidInput: the pairs have no labels, or only one class.
    """
    require_classes(pairs, name)

    def build() -> TwoSystems:
        psi = MapNetwork(pairs.target.dim, pairs.source.dim, settings.hidden)
        dim = pairs.target.dim
        head = MapNetwork(dim, dim, settings.rho_hidden, skip=True) if rho else None
        return TwoSystems(Side.QUERY, psi, head)

    def objective(systems: TwoSystems, batch: Batch, _: torch.Generator) -> torch.Tensor:
        scores = systems.scores(batch)
        if batch.labels is None:
            raise InvalidInput(f"{name} needs labels")
        return contrastive_loss(
            scores.new, scores.old, batch.labels, settings.temperature, negatives
        )

    return fit_trained(TrainedMethod(name, build, objective), pairs, settings, progress)


fit_contrastive_without_rho = functools.partial(
    fit_contrastive, name="contrastive_without_rho", rho=False
)
fit_contrastive_own = functools.partial(fit_contrastive, name="contrastive_own", negatives="own")
fit_contrastive_own_without_rho = functools.partial(
    fit_contrastive, name="contrastive_own_without_rho", rho=False, negatives="own"
)


def require_classes(pairs: Pairs, name: str) -> None:
    """Raise InvalidInput for pairs without labels, or of one class."""
    if pairs.labels is None:
        raise InvalidInput(
            f"method {name!r} needs labels and the pairs have none; "
            "add an array 'labels', or use a method without labels such as 'auto'"
        )
    if len(set(pairs.labels.tolist())) < 2:
        raise InvalidInput(
            f"method {name!r} needs at least two classes, the labels name only one; "
            "use a method without labels such as 'auto'"
        )
