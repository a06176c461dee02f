"""Moving items from the old side of a gallery to the new one."""

from crossfade.backfill.encoding import Encoded, Encoder, Retry
from crossfade.backfill.item_encoder import ItemEncoder, item_encoder, load_item_encoder
from crossfade.backfill.job import Backfill
from crossfade.backfill.order import Order, order_names, register_order
from crossfade.backfill.progress import progress_bar
from crossfade.backfill.status import JobState, JobStatus, ParkedItem

__all__ = [
    "Backfill",
    "Encoded",
    "Encoder",
    "ItemEncoder",
    "JobState",
    "JobStatus",
    "Order",
    "ParkedItem",
    "Retry",
    "item_encoder",
    "load_item_encoder",
    "order_names",
    "progress_bar",
    "register_order",
]
