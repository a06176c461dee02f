"""Who asked for a pause, told to the process that has the store.

A collection in a folder is open in one process. Another one may ask for a pause through the
journal, but can't write the audit log; so it leaves a note, and the job that stops records it.
"""

from __future__ import annotations

from pathlib import Path

from crossfade.durable import replace_file
from crossfade.stores import Store

__all__ = ["leave_note", "take_note"]

_NAME = "pause-asked-by"


def leave_note(folder: Path, actor: str) -> None:
    """Say who asks for a pause.

    Raises:
        OutputError: the folder can't be written.
    """
    with replace_file(folder / _NAME) as temporary:
        temporary.write_text(actor, encoding="utf-8")


def take_note(store: Store) -> str | None:
    """Who asked, once; None if nobody did by a note."""
    if store.folder is None:
        return None
    path = store.folder / _NAME
    try:
        actor = path.read_text(encoding="utf-8")
        path.unlink()
    except (OSError, UnicodeDecodeError):
        return None
    return actor
