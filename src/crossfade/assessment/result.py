"""What an assessment found."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

from crossfade.assessment.evidence import Candidate
from crossfade.assessment.gain import Gain, Verdict
from crossfade.assessment.more_pairs import MorePairs
from crossfade.assessment.pace import Pace
from crossfade.assessment.prediction import Prediction
from crossfade.assessment.recommendation import Recommendation
from crossfade.embeddings import Space

__all__ = ["Assessment"]


@dataclass(frozen=True, eq=False)
class Assessment:
    """Whether to make an upgrade, and how.

    Attributes:
        verdict: on the new model. gain: of it, or None where nothing says what is relevant.
        source, target: the old and the new space.
        predictions: every candidate on every kind of evidence; none if the verdict is
            ``refuse``, since there is nothing to gain by any of them.
        recommendation: None where nothing was predicted.
        more_pairs: what the second half of the pairs has added to the recommended method, in each
            of its modes; empty where that says nothing.
        pace: how long the backfill takes.
        findings: what is wrong with the sample, each a sentence.
        metric: the one that everything is judged by. pairs: in the sample.
        logged: queries of the log that the recommended map learned from. seed: of it all.
        seconds: how long the assessment took.
    """

    verdict: Verdict
    gain: Gain | None
    source: Space
    target: Space
    predictions: Sequence[Prediction]
    recommendation: Recommendation | None
    more_pairs: Sequence[MorePairs]
    pace: Pace
    findings: Sequence[str]
    metric: str
    pairs: int
    logged: int
    seed: int
    seconds: float

    def of(self, candidate: Candidate) -> list[Prediction]:
        """All predictions of a candidate, one for each kind of evidence."""
        return [one for one in self.predictions if one.candidate == candidate]

    def to_json(self) -> dict[str, Any]:
        """As one JSON object."""
        recommended = self.recommendation
        return {
            "verdict": self.verdict.value,
            "gain": None if self.gain is None else self.gain.describe(),
            "source": {"name": self.source.name, "dim": self.source.dim},
            "target": {"name": self.target.name, "dim": self.target.dim},
            "metric": self.metric,
            "recommendation": None if recommended is None else recommended.describe(),
            "more_pairs": [one.describe() for one in self.more_pairs],
            "predictions": [one.describe() for one in self.predictions],
            "pace": self.pace.describe(),
            "findings": list(self.findings),
            "pairs": self.pairs,
            "logged_queries": self.logged,
            "seed": self.seed,
            "seconds": round(self.seconds, 1),
        }
