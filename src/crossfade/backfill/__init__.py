"""Moving items from the old side of a gallery to the new one."""

from crossfade.backfill.crew import Outage
from crossfade.backfill.item_encoder import ItemEncoder, item_encoder, load_item_encoder
from crossfade.backfill.job import Backfill
from crossfade.backfill.progress import progress_bar
from crossfade.backfill.signals import stopping_on_signals
from crossfade.backfill.status import JobState, JobStatus, ParkedItem
from crossfade.backfill.throttle import QuietHours, Throttle
from crossfade.gallery.encoding import Encoded, Encoder, Retry
from crossfade.orders import Order, Scoring, order_names, register_order, traffic_order

__all__ = [
    "Backfill",
    "Encoded",
    "Encoder",
    "ItemEncoder",
    "JobState",
    "JobStatus",
    "Order",
    "Outage",
    "ParkedItem",
    "QuietHours",
    "Retry",
    "Scoring",
    "Throttle",
    "item_encoder",
    "load_item_encoder",
    "order_names",
    "progress_bar",
    "register_order",
    "stopping_on_signals",
    "traffic_order",
]
