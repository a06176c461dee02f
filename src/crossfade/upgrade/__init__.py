"""The upgrade artifact: maps, merge calibration, and their forward pass in NumPy."""

from crossfade.upgrade.calibration import Calibration
from crossfade.upgrade.chain import Earlier, chained
from crossfade.upgrade.interpolation import Interpolation
from crossfade.upgrade.item_offset import (
    MOST_RAISED,
    ItemOffset,
    OffsetWeights,
    closeness,
    doubt_of,
)
from crossfade.upgrade.kernel_maps import MOST_LANDMARKS, MOST_PAIRS, residual_kernel
from crossfade.upgrade.linear_maps import ridge_map, turned_ridge_map
from crossfade.upgrade.modes import Mode, Side
from crossfade.upgrade.moments import Moments
from crossfade.upgrade.old_side import OldSide
from crossfade.upgrade.ordering import Ordering
from crossfade.upgrade.refit import (
    MILESTONES,
    Fresh,
    PairSample,
    Refit,
    milestone_at,
    milestones_after,
)
from crossfade.upgrade.shares import new_side_share, old_share
from crossfade.upgrade.transform import Affine, Kernel, Transform
from crossfade.upgrade.two_encoder import TwoEncoder
from crossfade.upgrade.upgrade import Upgrade

__all__ = [
    "MILESTONES",
    "MOST_LANDMARKS",
    "MOST_PAIRS",
    "MOST_RAISED",
    "Affine",
    "Calibration",
    "Earlier",
    "Fresh",
    "Interpolation",
    "ItemOffset",
    "Kernel",
    "Mode",
    "Moments",
    "OffsetWeights",
    "OldSide",
    "Ordering",
    "PairSample",
    "Refit",
    "Side",
    "Transform",
    "TwoEncoder",
    "Upgrade",
    "chained",
    "closeness",
    "doubt_of",
    "milestone_at",
    "milestones_after",
    "new_side_share",
    "old_share",
    "residual_kernel",
    "ridge_map",
    "turned_ridge_map",
]
