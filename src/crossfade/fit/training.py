"""The one training loop: AdamW, cosine decay, early stopping on held-out pairs."""

from __future__ import annotations

import copy
import math
import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from crossfade.embeddings import Pairs
from crossfade.errors import InvalidInput
from crossfade.fit.settings import FitProgress, FitSettings, ProgressCallback
from crossfade.fit.systems import Batch, TwoSystems

__all__ = ["Objective", "Training", "train"]

Objective = Callable[[TwoSystems, Batch, torch.Generator], Tensor]
"""Loss of a batch; draws whatever it needs (backfill states) from the generator."""

# Passes over many pairs; few pairs get more passes, so that training takes enough steps.
_EPOCHS, _MOST_EPOCHS, _ENOUGH_STEPS = 15, 150, 600
_SMALLEST_BATCH = 32
_MOST_HELD_OUT = 4_096


@dataclass(frozen=True)
class Training:
    """What training did: held-out loss before and after each epoch, and which was kept."""

    held_out_loss: tuple[float, ...]
    best_epoch: int
    pairs: int
    seconds: float

    def describe(self) -> dict[str, Any]:
        """As JSON, for the fit report."""
        return {
            "held_out_loss": [round(loss, 6) for loss in self.held_out_loss],
            "best_epoch": self.best_epoch,
            "training_pairs": self.pairs,
            "seconds": round(self.seconds, 3),
        }


def train(
    systems: TwoSystems,
    pairs: Pairs,
    objective: Objective,
    settings: FitSettings,
    *,
    method: str,
    progress: ProgressCallback | None = None,
) -> Training:
    """Train ``systems`` in place and leave it with the weights of the best epoch.

    Pairs are read batch by batch, so memory-mapped pairs stay on disk.

    Raises:
        InvalidInput: fewer than 8 pairs, or the loss is no longer finite.
    """
    if len(pairs) < 8:
        raise InvalidInput(f"training needs at least 8 pairs, got {len(pairs)}")
    started = time.monotonic()
    generator = torch.Generator().manual_seed(settings.seed)
    batches = _Batches(pairs, settings)
    epochs = settings.epochs or _default_epochs(batches.steps)
    parameters = [weight for weight in systems.parameters() if weight.requires_grad]
    optimiser = torch.optim.AdamW(
        parameters, lr=settings.learning_rate, weight_decay=settings.weight_decay
    )
    schedule = torch.optim.lr_scheduler.CosineAnnealingLR(optimiser, epochs * batches.steps)
    # The start competes too: a map that begins as the ridge may have nothing to learn.
    losses = [_held_out_loss(systems, batches, objective, settings.seed)]
    best, best_epoch = copy.deepcopy(systems.state_dict()), 0
    for epoch in range(1, epochs + 1):
        systems.train()
        for step, batch in enumerate(batches.training(generator)):
            loss = objective(systems, batch, generator)
            optimiser.zero_grad(set_to_none=True)
            loss.backward()  # type: ignore[no-untyped-call]
            optimiser.step()
            schedule.step()
            if progress is not None:
                done, total = (epoch - 1) * batches.steps + step + 1, epochs * batches.steps
                left = (time.monotonic() - started) / done * (total - done)
                progress(FitProgress(method, done, total, loss.item(), left))
        losses.append(_held_out_loss(systems, batches, objective, settings.seed))
        if not math.isfinite(losses[-1]):
            raise InvalidInput(
                f"training {method} diverged: the held-out loss is {losses[-1]} after "
                f"{epoch} epochs; take a lower learning_rate than {settings.learning_rate}"
            )
        if losses[-1] <= min(losses):
            best, best_epoch = copy.deepcopy(systems.state_dict()), epoch
        if epoch - best_epoch >= settings.patience:
            break
    systems.load_state_dict(best)
    systems.eval()
    return Training(tuple(losses), best_epoch, len(batches.rows), time.monotonic() - started)


class _Batches:
    """Random batches of the training rows; fixed batches of the held-out rows."""

    def __init__(self, pairs: Pairs, settings: FitSettings) -> None:
        order = np.random.default_rng(settings.seed).permutation(len(pairs))
        held_out = min(_MOST_HELD_OUT, max(2, round(settings.held_out * len(pairs))))
        self.pairs = pairs
        self.held_out_rows, self.rows = order[:held_out], order[held_out:]
        self.size = max(
            min(_SMALLEST_BATCH, len(self.rows)), min(settings.batch_size, len(self.rows) // 8)
        )
        self.steps = max(1, len(self.rows) // self.size)
        self._labels: Tensor | None = None
        if pairs.labels is not None:
            codes = np.unique(pairs.labels, return_inverse=True)[1]
            self._labels = torch.from_numpy(codes.astype(np.int64))

    def training(self, generator: torch.Generator) -> Iterator[Batch]:
        # A short last batch is left to the next epoch: batch normalisation wants full ones.
        order = self.rows[torch.randperm(len(self.rows), generator=generator).numpy()]
        for step in range(self.steps):
            yield self._batch(order[step * self.size : (step + 1) * self.size])

    def held_out(self) -> Iterator[Batch]:
        for start in range(0, len(self.held_out_rows), self.size):
            rows = self.held_out_rows[start : start + self.size]
            if len(rows) > 1:
                yield self._batch(rows)

    def _batch(self, rows: NDArray[Any]) -> Batch:
        # Sorted reads are kind to memory-mapped files; the loss does not see the order.
        rows = np.sort(rows)
        return Batch(
            torch.from_numpy(self.pairs.old_rows(rows)),
            torch.from_numpy(self.pairs.new_rows(rows)),
            None if self._labels is None else self._labels[torch.from_numpy(rows)],
        )


def _default_epochs(steps: int) -> int:
    return max(_EPOCHS, min(_MOST_EPOCHS, _ENOUGH_STEPS // steps))


def _held_out_loss(
    systems: TwoSystems, batches: _Batches, objective: Objective, seed: int
) -> float:
    systems.eval()
    # The same backfill states after every epoch: their losses are to be compared.
    generator = torch.Generator().manual_seed(seed + 1)
    with torch.no_grad():
        losses = [objective(systems, batch, generator).item() for batch in batches.held_out()]
    return float(np.mean(losses))
