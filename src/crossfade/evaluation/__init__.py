"""Evaluation: metrics, the backfilling curve and its figures of merit, the report."""

from crossfade.evaluation.curve import (
    BackfillingCurve,
    Scores,
    coverage_grid,
    curve_from_scores,
)
from crossfade.evaluation.figures import Figures, figures_of_merit
from crossfade.evaluation.metrics import METRICS
from crossfade.evaluation.on_demand import OnDemandPoint, evaluate_on_demand
from crossfade.evaluation.orders import check_order
from crossfade.evaluation.protocol import evaluate
from crossfade.evaluation.relevance import (
    GradedRelevance,
    JudgedRelevance,
    LabelRelevance,
    Relevance,
    relevance_of,
)
from crossfade.evaluation.report import Page, results_to_json, write_report
from crossfade.evaluation.result import Counts, EvaluationResult

__all__ = [
    "METRICS",
    "BackfillingCurve",
    "Counts",
    "EvaluationResult",
    "Figures",
    "GradedRelevance",
    "JudgedRelevance",
    "LabelRelevance",
    "OnDemandPoint",
    "Page",
    "Relevance",
    "Scores",
    "check_order",
    "coverage_grid",
    "curve_from_scores",
    "evaluate",
    "evaluate_on_demand",
    "figures_of_merit",
    "relevance_of",
    "results_to_json",
    "write_report",
]
