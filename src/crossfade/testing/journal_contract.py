"""The journal contract as tests. Subclass it, say how a journal is opened, and run pytest:

    class TestMyJournal(JournalContract):
        def open_journal(self, place: Path) -> Journal:
            return MyJournal(...)

``place`` is a path that does not exist yet. Opening it again, while it is open or after it was
closed, must give the same journal. Workers in these tests die after a fraction of a second.
The tests stand in :mod:`crossfade.testing.journal`, a topic a module.
"""

from __future__ import annotations

from crossfade.testing.journal.job import JobContract
from crossfade.testing.journal.queue import QueueContract
from crossfade.testing.journal.workers import WorkersContract

__all__ = ["JournalContract"]


class JournalContract(JobContract, QueueContract, WorkersContract):
    """Everything that :class:`crossfade.backfill.journal.Journal` promises."""
