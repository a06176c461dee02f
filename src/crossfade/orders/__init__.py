"""In which order items are moved; one definition for the job and for its simulation.

random                seeded; the same ids and seed give the same order in every store
gallery               the store's own order, in which it is read fastest
short_mapped_first    what the forward map gives a short vector, that is, is unsure of
uncertainty           what FastFill's map says it is unsure of
predicted_residual    what the map probably misses by most
expected_gain[:FILE]  what probably lifts all rankings most; weighted by a log, if given
central_first         what the map sends near the mean of the new space
cluster_mean          what is far from all clusters' means in the old space
class_mean            what is far from all classes' means; for upgrades fitted with labels
traffic:FILE          what is asked for most, by a log
auto                  expected_gain, or predicted_residual for a kernel map; or random where
                      held-out pairs warned of it
"""

from crossfade.orders.base import Order, Scoring
from crossfade.orders.demand import HIGHEST_LEVEL, DemandLevels
from crossfade.orders.registry import (
    EXPECTED_GAIN,
    PREDICTED_RESIDUAL,
    RANDOM,
    TO_CHOOSE_FROM,
    open_order,
    order_names,
    register_order,
)
from crossfade.orders.traffic import traffic_order

__all__ = [
    "EXPECTED_GAIN",
    "HIGHEST_LEVEL",
    "PREDICTED_RESIDUAL",
    "RANDOM",
    "TO_CHOOSE_FROM",
    "DemandLevels",
    "Order",
    "Scoring",
    "open_order",
    "order_names",
    "register_order",
    "traffic_order",
]
