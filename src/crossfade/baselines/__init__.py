"""Baselines that are more than a fitting method: merges, side information, trained encoders.

One paper, one file. Maps that serve as any other upgrade are methods of :mod:`crossfade.fit`.
What trains an encoder, :mod:`crossfade.baselines.bct` and :mod:`crossfade.baselines.bict`, is
imported by name: it needs PyTorch.
"""

from crossfade.baselines.isotonic import isotonic_calibration, with_isotonic_calibration
from crossfade.baselines.merges import MERGES, Merge
from crossfade.baselines.protocol import evaluate_merge, evaluate_scores
from crossfade.baselines.side_information import (
    evaluate_with_side_information,
    with_side_information,
)

__all__ = [
    "MERGES",
    "Merge",
    "evaluate_merge",
    "evaluate_scores",
    "evaluate_with_side_information",
    "isotonic_calibration",
    "with_isotonic_calibration",
    "with_side_information",
]
