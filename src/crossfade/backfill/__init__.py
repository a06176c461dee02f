"""Moving items from the old side of a gallery to the new one."""

from crossfade.backfill.encoding import Encoder, Retry
from crossfade.backfill.job import Backfill
from crossfade.backfill.order import Order, order_names, register_order
from crossfade.backfill.progress import progress_bar
from crossfade.backfill.status import JobState, JobStatus, ParkedItem

__all__ = [
    "Backfill",
    "Encoder",
    "JobState",
    "JobStatus",
    "Order",
    "ParkedItem",
    "Retry",
    "order_names",
    "progress_bar",
    "register_order",
]
