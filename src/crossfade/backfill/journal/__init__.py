"""The job's durable memory: who works on it, and what is left to do."""

from crossfade.backfill.journal.base import (
    Entry,
    JobRow,
    Journal,
    Leased,
    Page,
    Parking,
    QueueCounts,
    Settled,
)
from crossfade.backfill.journal.place import open_journal
from crossfade.backfill.journal.sqlite import SqliteJournal

__all__ = [
    "Entry",
    "JobRow",
    "Journal",
    "Leased",
    "Page",
    "Parking",
    "QueueCounts",
    "Settled",
    "SqliteJournal",
    "open_journal",
]
