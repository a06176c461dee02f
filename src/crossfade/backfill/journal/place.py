"""Where the journal of a store is.

A store that keeps its journal itself, as a database does, names it by an entry point of the
group ``crossfade.journals``, under the store's scheme: a function that takes the open store and
returns its :class:`Journal`, which should hold what it needs of the store (a pool of
connections), not the store itself, or neither is ever released. For all others it is SQLite:
``journal.sqlite3`` in the store's folder; without a folder it lives in memory, as the store does.
"""

from __future__ import annotations

import threading
from importlib.metadata import entry_points
from weakref import WeakKeyDictionary

from crossfade.backfill.journal.base import Journal
from crossfade.backfill.journal.sqlite import SqliteJournal
from crossfade.errors import StoreError
from crossfade.stores import Store

__all__ = ["open_journal"]

_GROUP = "crossfade.journals"
_JOURNALS: WeakKeyDictionary[Store, Journal] = WeakKeyDictionary()
_JOURNALS_LOCK = threading.Lock()


def open_journal(store: Store) -> Journal:
    """The journal that belongs to an open store; the same one each time.

    Raises:
        StoreError: it can't be read.
    """
    with _JOURNALS_LOCK:
        if store not in _JOURNALS:
            _JOURNALS[store] = _open(store)
        return _JOURNALS[store]


def _open(store: Store) -> Journal:
    scheme = store.capabilities.scheme
    for entry in entry_points(group=_GROUP, name=scheme):
        journal = entry.load()(store)
        if not isinstance(journal, Journal):
            raise StoreError(
                f"entry point {entry.value} for {scheme}:// returned no Journal: {journal!r}"
            )
        return journal
    folder = store.folder
    return SqliteJournal(":memory:" if folder is None else str(folder / "journal.sqlite3"))
