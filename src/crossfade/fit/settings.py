"""What a user may set about fitting, with the defaults that the benchmarks use."""

from __future__ import annotations

import math
from collections.abc import Callable
from dataclasses import asdict, dataclass, replace
from typing import Any

from crossfade.errors import InvalidInput

__all__ = ["FitProgress", "FitSettings", "ProgressCallback"]


@dataclass(frozen=True, slots=True)
class FitProgress:
    """How far fitting is, for a progress bar."""

    method: str
    done: int
    total: int
    loss: float | None
    seconds_left: float | None


ProgressCallback = Callable[[FitProgress], None]


@dataclass(frozen=True, slots=True)
class FitSettings:
    """Settings of the trained methods.

    Attributes:
        seed: of the split, the initial weights, and the batches.
        epochs: passes over the pairs, at most; None takes 15, and up to 150 where the pairs
            are few. Training stops earlier when the held-out loss has not improved for
            ``patience`` epochs.
        batch_size: pairs in a batch; fewer when there are few pairs.
        learning_rate, weight_decay: of AdamW, the rate falling to zero along a cosine.
        hidden, rho_hidden: widths of the hidden layers of psi and rho.
        forward_hidden: of the forward map; None takes one layer of 2,048 for at least 20,000
            pairs, 512 for fewer.
        temperature: tau of the losses. teacher_temperature: tau_T of the teacher.
        ridge_penalty: of the linear maps, relative to the mean eigenvalue of the inputs;
            None takes ``0.05 (d / n)^2``, which held up from 0.6 to 200 pairs a dimension.
        rank: of ``low_rank``; None takes a quarter of the narrower width, at most 64.
        two_encoder_weight, two_encoder_new_weight: the old query's shares in two-encoder mode,
            see :class:`crossfade.upgrade.TwoEncoder`; None takes what the number of pairs a
            dimension says, see :mod:`crossfade.upgrade.shares`.
        held_out: share of the pairs kept for early stopping and selection.
    """

    seed: int = 0
    epochs: int | None = None
    batch_size: int = 512
    learning_rate: float = 1e-3
    weight_decay: float = 1e-2
    patience: int = 8
    hidden: tuple[int, ...] = (512,)
    forward_hidden: tuple[int, ...] | None = None
    rho_hidden: tuple[int, ...] = (512,)
    temperature: float = 0.1
    teacher_temperature: float = 0.05
    ridge_penalty: float | None = None
    rank: int | None = None
    two_encoder_weight: float | None = None
    two_encoder_new_weight: float | None = None
    held_out: float = 0.1

    def __post_init__(self) -> None:
        for name, least in (("seed", 0), ("epochs", 1), ("batch_size", 1), ("patience", 1)):
            value = getattr(self, name)
            fits = (type(value) is int and value >= least) or (name == "epochs" and value is None)
            self._require(name, fits, f"a whole number from {least}")
        for name in ("learning_rate", "temperature", "teacher_temperature"):
            self._require(name, 0 < getattr(self, name) < math.inf, "more than 0")
        self._require("weight_decay", 0 <= self.weight_decay < math.inf, "0 or more")
        self._require("held_out", 0 < self.held_out <= 0.5, "above 0 and at most 0.5")
        for name in ("two_encoder_weight", "two_encoder_new_weight"):
            share = getattr(self, name)
            self._require(name, share is None or 0 <= share <= 1, "0 to 1, or None")
        rank = self.rank
        self._require("rank", rank is None or (type(rank) is int and rank > 0), "from 1, or None")
        penalty = self.ridge_penalty
        self._require("ridge_penalty", penalty is None or penalty > 0, "more than 0, or None")
        for name in ("hidden", "forward_hidden", "rho_hidden"):
            widths = () if getattr(self, name) is None else tuple(getattr(self, name))
            fits = all(type(width) is int and width > 0 for width in widths)
            self._require(name, fits, "the widths of the hidden layers")

    def but(self, **changes: Any) -> FitSettings:
        """The same settings with some changed.

        Raises:
            InvalidInput: a setting that does not exist, or a value that is not allowed.
        """
        known = asdict(self)
        unknown = sorted(changes.keys() - known.keys())
        if unknown:
            raise InvalidInput(f"unknown setting {unknown[0]!r}; known: {', '.join(known)}")
        try:
            return replace(self, **changes)
        except TypeError as error:
            raise InvalidInput(f"a setting of {changes} is of a wrong type: {error}") from error

    def _require(self, name: str, holds: bool, wanted: str) -> None:
        if not holds:
            raise InvalidInput(f"{name} is {getattr(self, name)!r}, wanted {wanted}")

    def describe(self) -> dict[str, Any]:
        """As JSON, for the fit report."""
        return asdict(self)
