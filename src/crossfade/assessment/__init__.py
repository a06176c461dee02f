"""Assessment: from a sample, whether an upgrade is worth it and how its backfill will go."""

from crossfade.assessment.api import assess
from crossfade.assessment.gain import Gain, Verdict
from crossfade.assessment.pace import Milestone, Pace
from crossfade.assessment.prediction import Candidate, Interval, Prediction, Regret
from crossfade.assessment.recommendation import Recommendation
from crossfade.assessment.report import write_assessment
from crossfade.assessment.result import Assessment

__all__ = [
    "Assessment",
    "Candidate",
    "Gain",
    "Interval",
    "Milestone",
    "Pace",
    "Prediction",
    "Recommendation",
    "Regret",
    "Verdict",
    "assess",
    "write_assessment",
]
