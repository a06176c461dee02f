"""Backward-compatible training: a new model that the old gallery understands.

Other baselines map between two finished models. These train the new model itself under the
old one's influence, so that its embedding of a query can search the old gallery as it is.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import dataclass
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor, nn
from torch.nn.functional import cross_entropy, normalize

from crossfade.embeddings import FloatArray, Space, normalise
from crossfade.errors import InvalidInput
from crossfade.upgrade import Affine, Side, Transform, Upgrade

__all__ = ["BctSettings", "TrainedEncoder", "bct_loss", "bct_upgrade", "cosine_logits", "train_bct"]

_EMBEDDED_ROWS = 1_024


@dataclass(frozen=True, slots=True)
class BctSettings:
    """How the new model is trained.

    Attributes:
        old_weight: lambda, how much the old classifier's loss counts; 0 trains as if there
            were no old model.
        temperature: cosines are divided by it before the softmax.
        epochs, batch_size, learning_rate, weight_decay: of AdamW, the rate falling along a
            cosine. seed: of the weights and of the batches.
    """

    old_weight: float = 1.0
    temperature: float = 0.1
    epochs: int = 3
    batch_size: int = 256
    learning_rate: float = 3e-3
    weight_decay: float = 1e-2
    seed: int = 0


@dataclass(frozen=True, eq=False)
class TrainedEncoder:
    """A trained network and its classifier.

    Attributes:
        trunk: inputs to embeddings ``(n, d_new)``, not scaled, in evaluation mode.
        classifier: ``(classes, d_new)`` unit rows, in the order of the sorted labels.
    """

    trunk: nn.Module
    classifier: FloatArray

    def __call__(self, inputs: Tensor) -> FloatArray:
        """Embed ``(n, ...)`` inputs; ``(n, d_new)`` float32 unit rows."""
        with torch.no_grad():
            parts = [self.trunk(part).numpy() for part in _parts(inputs)]
        return normalise(np.concatenate(parts))


def train_bct(
    build_trunk: Callable[[], nn.Module],
    inputs: Tensor,
    labels: NDArray[Any],
    old_classifier: FloatArray | None,
    settings: BctSettings = BctSettings(),
) -> TrainedEncoder:
    """Train a new embedding model with the frozen old classifier beside its own.

    Shen, Xiong, Xia & Soatto, *Towards Backward-Compatible Representation Learning*, CVPR 2020
    (arXiv 2003.11942): ``L = L(w_new, phi_new) + lambda L(w_old, phi_new)``,
    :func:`bct_loss`. Where the old classifier is lost, or lacks a class, the paper puts in the
    class means of the old model's embeddings: give
    ``class_means(old_rows, codes, classes)`` of :mod:`crossfade.fit.class_means`. Where the
    new embedding is the wider one, its first d_old coordinates answer to the old classifier,
    as if the old one were padded with zeros. Differences: both classifiers are cosine ones,
    since galleries here are searched by cosine.

    Args:
        build_trunk: makes the untrained network; called after the seed is set.
        inputs: ``(n, ...)`` what the network takes. labels: ``(n,)``.
        old_classifier: ``(classes, d_old)`` unit rows, in the order of the sorted labels; None
            trains the new model alone.

    Raises:
        InvalidInput: fewer than two classes, lengths that differ, or a new embedding narrower
            than the old one.
    """
    names, codes = np.unique(labels, return_inverse=True)
    _check(inputs, codes, len(names), old_classifier)
    targets = torch.from_numpy(codes.astype(np.int64))
    with torch.random.fork_rng(devices=[]), torch.enable_grad():
        torch.manual_seed(settings.seed)
        trunk = build_trunk()
        own = nn.Linear(_width(trunk, inputs, old_classifier), len(names), bias=False)
        old = None if old_classifier is None else torch.from_numpy(old_classifier)
        _train(trunk, own, old, inputs, targets, settings)
    trunk.eval().requires_grad_(False)
    weight = normalize(own.weight.detach(), dim=1).numpy().copy()
    return TrainedEncoder(trunk, weight)


def bct_loss(
    features: Tensor,
    targets: Tensor,
    new_classifier: Tensor,
    old_classifier: Tensor | None,
    old_weight: float,
    temperature: float,
) -> Tensor:
    """``mean_i CE(w_new, phi_i) + lambda mean_i CE(w_old, phi_i)`` [Shen2020, eq. 4].

    Args:
        features: ``(b, d_new)``. targets: ``(b,)`` classes.
        new_classifier: ``(classes, d_new)``. old_classifier: ``(classes, d_old)``, frozen.
        old_weight: lambda.
    """
    loss = cross_entropy(cosine_logits(features, new_classifier, temperature), targets)
    if old_classifier is None or old_weight == 0:
        return loss
    old_logits = cosine_logits(features, old_classifier, temperature)
    return loss + old_weight * cross_entropy(old_logits, targets)


def cosine_logits(features: Tensor, classifier: Tensor, temperature: float) -> Tensor:
    """Cosines over the temperature, ``(b, classes)``, of the features' first coordinates."""
    seen = features[:, : classifier.shape[1]]
    return normalize(seen, dim=1) @ normalize(classifier, dim=1).T / temperature


def bct_upgrade(source: Space, target: Space) -> Upgrade:
    """The upgrade of a backward-compatible pair: a new query searches old vectors as it is.

    psi cuts the new query to the old width; where the widths are the same it is the identity.

    Raises:
        InvalidInput: the new space is narrower than the old one.
    """
    if target.dim < source.dim:
        raise InvalidInput(_NARROWER.format(target.dim, source.dim))
    cut = np.eye(target.dim, source.dim, dtype=np.float32)
    psi = Transform(Affine(cut, np.zeros(source.dim, dtype=np.float32)))
    return Upgrade(method="bct", source=source, target=target, side=Side.QUERY, psi=psi)


_NARROWER = (
    "the new embedding has {} dimensions, the old one {}: backward-compatible training needs a "
    "new one at least as wide"
)


def _check(
    inputs: Tensor, codes: NDArray[Any], classes: int, old_classifier: FloatArray | None
) -> None:
    if len(inputs) != len(codes):
        raise InvalidInput(f"{len(codes)} labels for {len(inputs)} inputs; one an input")
    if classes < 2:
        raise InvalidInput(f"training needs two classes or more, got {classes}")
    if old_classifier is not None and len(old_classifier) != classes:
        raise InvalidInput(
            f"the old classifier has {len(old_classifier)} rows for {classes} classes; put the "
            "old model's class means where it lacks one"
        )


def _width(trunk: nn.Module, inputs: Tensor, old_classifier: FloatArray | None) -> int:
    trunk.eval()
    with torch.no_grad():
        width = int(trunk(inputs[:1]).shape[1])
    if old_classifier is not None and width < old_classifier.shape[1]:
        raise InvalidInput(_NARROWER.format(width, old_classifier.shape[1]))
    return width


def _train(
    trunk: nn.Module,
    own: nn.Linear,
    old: Tensor | None,
    inputs: Tensor,
    targets: Tensor,
    settings: BctSettings,
) -> None:
    parameters = [*trunk.parameters(), *own.parameters()]
    optimiser = torch.optim.AdamW(
        parameters, lr=settings.learning_rate, weight_decay=settings.weight_decay
    )
    steps = settings.epochs * max(1, len(targets) // settings.batch_size)
    schedule = torch.optim.lr_scheduler.CosineAnnealingLR(optimiser, steps)
    trunk.train()
    for _ in range(settings.epochs):
        for rows in _batches(len(targets), settings.batch_size):
            loss = bct_loss(
                trunk(inputs[rows]),
                targets[rows],
                own.weight,
                old,
                settings.old_weight,
                settings.temperature,
            )
            optimiser.zero_grad(set_to_none=True)
            loss.backward()  # type: ignore[no-untyped-call]
            optimiser.step()
            schedule.step()


def _parts(inputs: Tensor) -> Iterator[Tensor]:
    for start in range(0, len(inputs), _EMBEDDED_ROWS):
        yield inputs[start : start + _EMBEDDED_ROWS]


def _batches(n: int, size: int) -> Iterator[Tensor]:
    order = torch.randperm(n)
    for start in range(0, max(1, n // size) * size, size):
        yield order[start : start + size]
