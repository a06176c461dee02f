"""Small image encoders that train in seconds on a CPU: the demo's old and new models."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from itertools import pairwise

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor, nn

from crossfade.embeddings import FloatArray, normalise
from crossfade.errors import InvalidInput

__all__ = ["CnnEncoder", "TrainingStep", "as_input", "cnn_trunk", "train_cnn", "train_encoder"]

Images = NDArray[np.uint8]

_BATCH_ROWS = 256
_PEAK_LEARNING_RATE = 4e-3


@dataclass(frozen=True)
class TrainingStep:
    """How far a training is, told after every batch."""

    done: int
    total: int
    loss: float

    @property
    def shown(self) -> tuple[int, int, str]:
        """Done, total, and a note, as a progress bar takes them."""
        return self.done, self.total, f"loss {self.loss:.3f}"


class CnnEncoder:
    """A trained network without its classifier: images in, unit embeddings out."""

    def __init__(self, trunk: nn.Module, dim: int) -> None:
        self._trunk = trunk.eval()
        self.dim = dim

    def __call__(self, images: Images) -> FloatArray:
        """Embed ``(n, 28, 28)`` grey images, uint8; ``(n, dim)`` float32 unit rows."""
        parts = [
            self._trunk(as_input(images[start : start + 4 * _BATCH_ROWS])).numpy()
            for start in range(0, len(images), 4 * _BATCH_ROWS)
        ]
        rows = np.concatenate(parts) if parts else np.empty((0, self.dim), np.float32)
        return normalise(rows) if len(rows) else rows


def train_cnn(
    images: Images,
    labels: NDArray[np.integer],
    *,
    channels: int,
    dim: int,
    epochs: int,
    seed: int,
    on_step: Callable[[TrainingStep], None] | None = None,
) -> CnnEncoder:
    """Train a classifier with three convolutions and keep what the classifier reads.

    Args:
        channels: width of the first convolution; the others have two and four times as many.
        dim: width of the embedding.

    Raises:
        InvalidInput: fewer than two classes.
    """
    return train_encoder(
        lambda: cnn_trunk(channels, dim),
        images,
        labels,
        dim=dim,
        epochs=epochs,
        seed=seed,
        on_step=on_step,
    )


def train_encoder(
    build_trunk: Callable[[], nn.Module],
    images: Images,
    labels: NDArray[np.integer],
    *,
    dim: int,
    epochs: int,
    seed: int,
    on_step: Callable[[TrainingStep], None] | None = None,
) -> CnnEncoder:
    """Train a classifier on top of any trunk and keep the trunk.

    Nothing nonlinear stands between embedding and classifier: directions then carry the class,
    as cosine similarity wants.

    Args:
        build_trunk: makes a network from ``(b, 1, 28, 28)`` to ``(b, dim)``.
        images: ``(n, 28, 28)`` uint8. labels: ``(n,)`` integers of any range.
        epochs: passes over the images. seed: of the weights and of the order.
        on_step: told after every batch.

    Raises:
        InvalidInput: fewer than two classes.
    """
    classes, targets = np.unique(labels, return_inverse=True)
    if len(classes) < 2:
        raise InvalidInput(f"training needs two classes or more, got {len(classes)}")
    with torch.random.fork_rng(devices=[]), torch.enable_grad():
        torch.manual_seed(seed)
        trunk = build_trunk()
        model = nn.Sequential(trunk, nn.Linear(dim, len(classes)))
        _fit(model, images, torch.from_numpy(targets), epochs, on_step or _ignore)
    for parameter in trunk.parameters():
        parameter.requires_grad_(False)
    return CnnEncoder(trunk, dim)


def cnn_trunk(channels: int, dim: int) -> nn.Module:
    """Three convolutions and a linear layer: ``as_input`` images to ``(n, dim)``."""
    widths = (1, channels, 2 * channels, 4 * channels)
    blocks: list[nn.Module] = []
    for width_in, width_out in pairwise(widths):
        blocks += [
            nn.Conv2d(width_in, width_out, 3, stride=2, padding=1, bias=False),
            nn.BatchNorm2d(width_out),
            nn.ReLU(),
        ]
    return nn.Sequential(*blocks, nn.Flatten(), nn.Linear(16 * widths[-1], dim))


def _fit(
    model: nn.Module,
    images: Images,
    targets: Tensor,
    epochs: int,
    on_step: Callable[[TrainingStep], None],
) -> None:
    starts = range(0, len(images), _BATCH_ROWS)
    total = epochs * len(starts)
    optimiser = torch.optim.AdamW(model.parameters(), lr=_PEAK_LEARNING_RATE, weight_decay=1e-2)
    schedule = torch.optim.lr_scheduler.OneCycleLR(
        optimiser, max_lr=_PEAK_LEARNING_RATE, total_steps=total
    )
    model.train()
    for epoch in range(epochs):
        order = torch.randperm(len(images))
        for number, start in enumerate(starts, start=1 + epoch * len(starts)):
            rows = order[start : start + _BATCH_ROWS]
            optimiser.zero_grad()
            loss = nn.functional.cross_entropy(model(as_input(images[rows.numpy()])), targets[rows])
            loss.backward()  # type: ignore[no-untyped-call]
            optimiser.step()
            schedule.step()
            on_step(TrainingStep(number, total, loss.item()))


def as_input(images: Images) -> Tensor:
    """Grey images ``(n, 28, 28)`` uint8 as ``(n, 1, 28, 28)`` from -0.5 to 0.5."""
    return torch.from_numpy(images[:, None].astype(np.float32) / 255.0 - 0.5)


def _ignore(_: TrainingStep) -> None:
    return None
