"""Training a backbone as a classifier: the customary loop, resumable at every epoch.

SGD with momentum 0.9, Nesterov, weight decay 5e-4, learning rate 0.1 for 256 photos a batch,
warmed up for a twentieth of the steps and falling along a cosine; bfloat16 on a GPU.
"""

from __future__ import annotations

import math
import time
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor, nn

from crossfade.bench.backbones.resnet import ARCHITECTURES, ResNet
from crossfade.bench.backbones.views import batches, plain_view, training_view
from crossfade.bench.layouts.photos import Photos, Shape
from crossfade.bench.suite import Say
from crossfade.durable import replace_file
from crossfade.embeddings import FloatArray
from crossfade.errors import InvalidInput

__all__ = ["TrainingSettings", "embed_photos", "train_backbone"]

_RATE_FOR_256, _MOMENTUM, _WEIGHT_DECAY = 0.1, 0.9, 5e-4
_WARM_UP_SHARE = 0.05
_SAY_EVERY_SECONDS = 30.0


@dataclass(frozen=True)
class TrainingSettings:
    """How one backbone is trained."""

    architecture: str
    dim: int
    epochs: int
    batch_size: int
    seed: int


def train_backbone(
    photos: Photos, shape: Shape, settings: TrainingSettings, checkpoint: Path, say: Say
) -> ResNet:
    """Train on the photos' classes; a checkpoint after each epoch, from which a killed run goes on.

    Raises:
        InvalidInput: fewer than two classes, or an unknown architecture.
    """
    classes, targets = np.unique(photos.labels, return_inverse=True)
    if len(classes) < 2:
        raise InvalidInput(f"training needs two classes or more, got {len(classes)}")
    if settings.architecture not in ARCHITECTURES:
        raise InvalidInput(
            f"unknown architecture {settings.architecture!r}; choose one of "
            f"{', '.join(ARCHITECTURES)}"
        )
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(settings.seed)
        trunk = ARCHITECTURES[settings.architecture](settings.dim, min(shape.height, shape.width))
        head = nn.Linear(settings.dim, len(classes))
    run = _Training(photos, shape, torch.from_numpy(targets), settings, trunk, head, say)
    run.resume(checkpoint)
    for epoch in range(run.epoch, settings.epochs):
        run.train_epoch(epoch)
        run.save(checkpoint)
    return trunk.eval()


@torch.inference_mode()
def embed_photos(
    model: ResNet, photos: Photos, shape: Shape, batch_size: int, say: Say
) -> FloatArray:
    """Embeddings ``(n, dim)``."""
    device = _device()
    model.to(device)
    told = time.monotonic()
    rows: list[FloatArray] = []
    for batch in batches(photos, _batch_rows(np.arange(len(photos)), batch_size), shape,
                         plain_view, 0):  # fmt: skip
        rows.append(model(torch.from_numpy(batch).to(device)).float().cpu().numpy())
        if time.monotonic() - told > _SAY_EVERY_SECONDS:
            told = time.monotonic()
            say(f"embedded {sum(map(len, rows)):,} of {len(photos):,} photos")
    return np.concatenate(rows)


class _Training:
    """Model, optimiser and place of one training."""

    def __init__(
        self,
        photos: Photos,
        shape: Shape,
        targets: Tensor,
        settings: TrainingSettings,
        trunk: ResNet,
        head: nn.Linear,
        say: Say,
    ) -> None:
        self.photos, self.shape, self.targets = photos, shape, targets
        self.settings, self.say = settings, say
        self.device = _device()
        self.model = nn.Sequential(trunk, head).to(self.device)
        self.batch_size = min(settings.batch_size, len(photos))
        rate = _RATE_FOR_256 * self.batch_size / 256
        self.optimiser = torch.optim.SGD(
            self.model.parameters(),
            lr=rate,
            momentum=_MOMENTUM,
            nesterov=True,
            weight_decay=_WEIGHT_DECAY,
        )
        self.steps = settings.epochs * (len(photos) // self.batch_size)
        self.schedule = torch.optim.lr_scheduler.LambdaLR(self.optimiser, self._rate_share)
        self.epoch = 0

    def train_epoch(self, epoch: int) -> None:
        """One pass over the photos, in an order that seed and epoch decide."""
        self.model.train()
        rng = np.random.default_rng([self.settings.seed, epoch])
        order = rng.permutation(len(self.photos))
        whole = len(order) - len(order) % self.batch_size
        rows = _batch_rows(order[:whole], self.batch_size)
        started, total = time.monotonic(), 0.0
        views = batches(self.photos, rows, self.shape, training_view, int(rng.integers(2**31)))
        for part, batch in zip(rows, views, strict=True):
            total += self._step(torch.from_numpy(batch), self.targets[torch.from_numpy(part)])
        self.epoch = epoch + 1
        left = (self.settings.epochs - self.epoch) * (time.monotonic() - started)
        self.say(
            f"{self.settings.architecture}: epoch {self.epoch} of {self.settings.epochs}, loss "
            f"{total / len(rows):.3f}, about {left / 60:.0f} min left"
        )

    def save(self, path: Path) -> None:
        """Write the checkpoint, all of it or nothing."""
        state = {
            "epoch": self.epoch,
            "model": self.model.state_dict(),
            "optimiser": self.optimiser.state_dict(),
            "schedule": self.schedule.state_dict(),
        }
        with replace_file(path) as temporary:
            torch.save(state, temporary)

    def resume(self, path: Path) -> None:
        """Go on from a checkpoint if there is one."""
        if not path.exists():
            return
        state: dict[str, Any] = torch.load(path, map_location=self.device, weights_only=True)
        self.model.load_state_dict(state["model"])
        self.optimiser.load_state_dict(state["optimiser"])
        self.schedule.load_state_dict(state["schedule"])
        self.epoch = state["epoch"]
        self.say(f"{self.settings.architecture}: going on after epoch {self.epoch}")

    def _step(self, photos: Tensor, targets: Tensor) -> float:
        on_gpu = self.device.type == "cuda"
        self.optimiser.zero_grad()
        with torch.autocast(self.device.type, torch.bfloat16, enabled=on_gpu):
            logits = self.model(photos.to(self.device))
        loss = nn.functional.cross_entropy(logits.float(), targets.to(self.device))
        loss.backward()  # type: ignore[no-untyped-call]
        self.optimiser.step()
        self.schedule.step()
        return loss.item()

    def _rate_share(self, step: int) -> float:
        warm_up = max(1, int(_WARM_UP_SHARE * self.steps))
        if step < warm_up:
            return (step + 1) / warm_up
        return 0.5 * (1 + math.cos(math.pi * (step - warm_up) / max(1, self.steps - warm_up)))


def _batch_rows(rows: NDArray[Any], size: int) -> list[NDArray[Any]]:
    return [rows[start : start + size] for start in range(0, len(rows), size)]


def _device() -> torch.device:
    return torch.device("cuda" if torch.cuda.is_available() else "cpu")
