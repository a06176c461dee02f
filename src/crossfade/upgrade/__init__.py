"""The upgrade artifact: maps, merge calibration, and their forward pass in NumPy."""

from crossfade.upgrade.calibration import Calibration
from crossfade.upgrade.interpolation import Interpolation
from crossfade.upgrade.ordering import Ordering
from crossfade.upgrade.transform import Affine, Transform
from crossfade.upgrade.two_encoder import TwoEncoder
from crossfade.upgrade.upgrade import Mode, OldSide, Side, Upgrade

__all__ = [
    "Affine",
    "Calibration",
    "Interpolation",
    "Mode",
    "OldSide",
    "Ordering",
    "Side",
    "Transform",
    "TwoEncoder",
    "Upgrade",
]
