"""The lifecycle of an upgrade by URI: what the commands do, one call each.

All of them need the collection's URI only, once the upgrade was started: what else they need to
know is kept with the collection.
"""

from crossfade.operations.adopt import attach, detach
from crossfade.operations.ends import (
    check_finish,
    check_roll_back,
    finish,
    retry_parked,
    roll_back,
)
from crossfade.operations.log import export_log, read_audit, verify_audit, verify_file
from crossfade.operations.pause import pause
from crossfade.operations.plan import Sample, StartPlan, plan_start
from crossfade.operations.run import Pace, backfill
from crossfade.operations.search import search
from crossfade.operations.start import StartRequest, start
from crossfade.operations.status import Status, status

__all__ = [
    "Pace",
    "Sample",
    "StartPlan",
    "StartRequest",
    "Status",
    "attach",
    "backfill",
    "check_finish",
    "check_roll_back",
    "detach",
    "export_log",
    "finish",
    "pause",
    "plan_start",
    "read_audit",
    "retry_parked",
    "roll_back",
    "search",
    "start",
    "status",
    "verify_audit",
    "verify_file",
]
