"""How long the backfill takes, and when how much of the gain is there."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

from crossfade.assessment.prediction import Prediction
from crossfade.errors import InvalidInput

__all__ = ["Milestone", "Pace", "check_seconds", "milestones_of", "pace_of"]

_SHARES = (0.5, 0.9)


@dataclass(frozen=True)
class Milestone:
    """When a share of the gain is there for good, by one kind of evidence.

    Attributes:
        share: of the gain. held_out: the evidence.
        coverage: from which on, None where the gain is not known.
        seconds: after the start; None where no speed was given.
    """

    share: float
    held_out: str
    coverage: float | None
    seconds: float | None


@dataclass(frozen=True)
class Pace:
    """How long it takes.

    Attributes:
        items: to re-encode. seconds_an_item: of the encoder; None where none was given.
        milestones: of the recommended candidate.
    """

    items: int
    seconds_an_item: float | None
    milestones: tuple[Milestone, ...]

    @property
    def seconds(self) -> float | None:
        """All items, one after the other; None without a speed."""
        return None if self.seconds_an_item is None else self.items * self.seconds_an_item

    def describe(self) -> dict[str, Any]:
        """As JSON."""
        return {
            "items": self.items,
            "seconds_an_item": self.seconds_an_item,
            "seconds": self.seconds,
            "milestones": [vars(milestone) for milestone in self.milestones],
        }


def check_seconds(encode_seconds: float | None, rate: float | None) -> float | None:
    """Seconds an item, from either form.

    Raises:
        InvalidInput: both were given, or one that is not above 0.
    """
    if encode_seconds is not None and rate is not None:
        raise InvalidInput(
            "encode_seconds (seconds an item) and rate (items a second) say the same; give one"
        )
    for name, value in (("encode_seconds", encode_seconds), ("rate", rate)):
        if value is not None and not 0 < value < float("inf"):
            raise InvalidInput(f"{name} is {value}, wanted a number above 0")
    return 1.0 / rate if rate is not None else encode_seconds


def pace_of(items: int, seconds_an_item: float | None, chosen: Sequence[Prediction]) -> Pace:
    """The pace of a candidate, from all its predictions."""
    total = None if seconds_an_item is None else items * seconds_an_item
    return Pace(items, seconds_an_item, milestones_of(chosen, total))


def milestones_of(chosen: Sequence[Prediction], total: float | None) -> tuple[Milestone, ...]:
    """Half and nine tenths of the gain, on each kind of evidence."""
    found = []
    for share in _SHARES:
        for prediction in chosen:
            at = prediction.reaches(share)
            seconds = None if at is None or total is None else at * total
            found.append(Milestone(share, prediction.held_out.value, at, seconds))
    return tuple(found)
