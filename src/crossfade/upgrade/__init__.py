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
from crossfade.upgrade.log_nearness import (
    NEARNESS_ITEMS,
    UnlikeQueriesWarning,
    log_nearness,
    why_unlike,
)
from crossfade.upgrade.log_ranking import Images, learned_matrix
from crossfade.upgrade.modes import Mode, Side
from crossfade.upgrade.moments import Moments
from crossfade.upgrade.offset_rules import (
    BY_ITEMS,
    FEWEST_QUERIES,
    MOST_QUERIES,
    MOST_TEACHING,
    offset_of,
    rule_for_log,
    with_matrix,
)
from crossfade.upgrade.old_side import OldSide
from crossfade.upgrade.ordering import Ordering
from crossfade.upgrade.refit import (
    MILESTONES,
    MOST_CARRIED,
    Fresh,
    PairSample,
    Refit,
    milestone_at,
    milestones_after,
)
from crossfade.upgrade.shares import new_side_share, old_share
from crossfade.upgrade.teaching import (
    can_be_taught,
    images_left_out,
    queries_to_teach,
    require_teachable,
    taught_offset,
    teaches_more,
    why_harmful,
)
from crossfade.upgrade.transform import Affine, Kernel, Transform
from crossfade.upgrade.two_encoder import TwoEncoder
from crossfade.upgrade.upgrade import Upgrade

__all__ = [
    "BY_ITEMS",
    "FEWEST_QUERIES",
    "MILESTONES",
    "MOST_CARRIED",
    "MOST_LANDMARKS",
    "MOST_PAIRS",
    "MOST_QUERIES",
    "MOST_RAISED",
    "MOST_TEACHING",
    "NEARNESS_ITEMS",
    "Affine",
    "Calibration",
    "Earlier",
    "Fresh",
    "Images",
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
    "UnlikeQueriesWarning",
    "Upgrade",
    "can_be_taught",
    "chained",
    "closeness",
    "doubt_of",
    "images_left_out",
    "learned_matrix",
    "log_nearness",
    "milestone_at",
    "milestones_after",
    "new_side_share",
    "offset_of",
    "old_share",
    "queries_to_teach",
    "require_teachable",
    "residual_kernel",
    "ridge_map",
    "rule_for_log",
    "taught_offset",
    "teaches_more",
    "turned_ridge_map",
    "why_harmful",
    "why_unlike",
    "with_matrix",
]
