"""What a user may set about fitting, with the defaults that the benchmarks use."""

from __future__ import annotations

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
        two_encoder_weight: the old query's share of an old-side score in two-encoder mode.
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
    two_encoder_weight: float = 0.4
    held_out: float = 0.1

    def __post_init__(self) -> None:
        positive = ("batch_size", "learning_rate", "patience", "temperature")
        if self.epochs is not None and self.epochs < 1:
            raise InvalidInput(f"epochs is {self.epochs}, wanted at least 1")
        for name in (*positive, "teacher_temperature"):
            if not getattr(self, name) > 0:
                raise InvalidInput(f"{name} is {getattr(self, name)}, wanted more than 0")
        if not 0.0 < self.held_out <= 0.5:
            raise InvalidInput(f"held_out is {self.held_out}, wanted above 0 and at most 0.5")

    def but(self, **changes: Any) -> FitSettings:
        """The same settings with some changed.

        Raises:
            InvalidInput: a setting that does not exist, or a value that is not allowed.
        """
        try:
            return replace(self, **changes)
        except TypeError as error:
            known = ", ".join(asdict(self))
            raise InvalidInput(f"unknown setting in {sorted(changes)}; known: {known}") from error

    def describe(self) -> dict[str, Any]:
        """As JSON, for the fit report."""
        return asdict(self)
