"""The report folder: JSON, Markdown, plots, and one HTML page that needs no network."""

from crossfade.evaluation.report.summary import results_to_json
from crossfade.evaluation.report.write import Page, write_report

__all__ = ["Page", "results_to_json", "write_report"]
