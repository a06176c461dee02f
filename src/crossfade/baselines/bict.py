"""Bidirectional compatible training: BCT's new model, and a forward map for the old gallery."""

from __future__ import annotations

import torch
from torch import Tensor

from crossfade.embeddings import FloatArray, Pairs
from crossfade.errors import InvalidInput
from crossfade.fit.fastfill import classification_cost
from crossfade.fit.fct import fct_network
from crossfade.fit.losses import rqt_loss
from crossfade.fit.settings import FitSettings, ProgressCallback
from crossfade.fit.systems import Batch, TwoSystems
from crossfade.fit.trained import TrainedMethod, fit_trained
from crossfade.upgrade import Side, Upgrade

__all__ = ["bict_loss", "fit_bict"]


def fit_bict(
    pairs: Pairs,
    classifier: FloatArray,
    settings: FitSettings,
    progress: ProgressCallback | None = None,
) -> Upgrade:
    """A forward map from the old space onto a backward-compatible new one.

    Su, Zhang et al., *Privacy-Preserving Model Upgrades with Bidirectional Compatible Training
    in Image Retrieval*, 2022 (arXiv 2204.13919): the new model is trained to be backward
    compatible (:func:`crossfade.baselines.bct.train_bct`), and the old gallery's vectors, whose
    images may be gone, are mapped towards it by forward-compatible training,
    :func:`bict_loss`. Differences: the map is FCT's MLP without side information, and the
    terms weigh the same.

    Args:
        pairs: old and new embeddings, the new ones of the backward-compatible model, with the
            labels that it was trained on.
        classifier: ``(classes, d_new)`` the new model's own, in the order of the sorted labels.

    Raises:
        InvalidInput: the pairs have no labels, or not as many classes as the classifier.
    """
    if pairs.labels is None:
        raise InvalidInput("bict needs labels and the pairs have none; add an array 'labels'")
    classes = len(set(pairs.labels.tolist()))
    if classifier.shape != (classes, pairs.target.dim):
        raise InvalidInput(
            f"the classifier has shape {classifier.shape}, wanted {(classes, pairs.target.dim)}: "
            "a row for each class of the pairs, as wide as the new space"
        )
    frozen = torch.from_numpy(classifier)

    def build() -> TwoSystems:
        return TwoSystems(Side.ITEMS, fct_network(pairs, settings))

    def objective(systems: TwoSystems, batch: Batch, _: torch.Generator) -> Tensor:
        if batch.labels is None:
            raise InvalidInput("bict needs labels")
        mapped = systems.map(batch.old)
        return bict_loss(mapped, batch.new, frozen, batch.labels, settings.temperature)

    return fit_trained(TrainedMethod("bict", build, objective), pairs, settings, progress)


def bict_loss(
    mapped: Tensor, new: Tensor, classifier: Tensor, labels: Tensor, temperature: float
) -> Tensor:
    """``mean_i (1 - <f(o_i), n_i>) + mean_i CE(w_new, f(o_i))`` [Su2022].

    Args:
        mapped, new: ``(b, d_new)`` unit rows. classifier: ``(classes, d_new)``, frozen.
        labels: ``(b,)``.
    """
    classified = classification_cost(mapped, classifier, labels, temperature).mean()
    return rqt_loss(mapped, new) + classified
