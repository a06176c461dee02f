"""Baselines that are more than a fitting method: merges, side information, trained encoders.

One paper, one file. Maps that serve as any other upgrade are methods of :mod:`crossfade.fit`.
"""

from crossfade.baselines.isotonic import isotonic_calibration, with_isotonic_calibration
from crossfade.baselines.merges import MERGES, Merge
from crossfade.baselines.protocol import evaluate_merge, evaluate_scores

__all__ = [
    "MERGES",
    "Merge",
    "evaluate_merge",
    "evaluate_scores",
    "isotonic_calibration",
    "with_isotonic_calibration",
]
