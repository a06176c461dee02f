"""``lancedb://PATH?table=NAME``: a table of LanceDB in a folder on this machine.

``lancedb://gallery`` is a folder below the working directory, ``lancedb:///srv/gallery`` an
absolute one; it is created if it is not there, and may hold other tables. The table is
``gallery`` unless it is named. Several processes may have it open: their writes take turns.
"""

from __future__ import annotations

import re
from pathlib import Path

from crossfade.errors import InvalidInput, MissingExtra
from crossfade.stores.base import Capabilities, Guard, Store

__all__ = ["CAPABILITIES", "open_store"]

CAPABILITIES = Capabilities(
    scheme="lancedb",
    persistent=True,
    approximate=True,
    server=False,
    extra="lancedb",
    uri="lancedb://PATH?table=NAME",
    package="lancedb",
    atomic_batches=True,
    conditional_write=Guard.LOCK,
    several_processes=True,
    tested_against="lancedb 0.40",
)


def open_store(location: str) -> Store:
    """Open or create the table.

    Args:
        location: what follows ``lancedb://``: the folder's path, and the name of the table.

    Raises:
        MissingExtra: LanceDB is not installed.
        InvalidInput: no folder is named, or the name or an option is of another form.
        StoreError: the table is somebody else's, damaged, or can't be written.
    """
    path, _, options = location.partition("?")
    if not path:
        raise InvalidInput("lancedb:// needs a folder: lancedb://PATH?table=NAME")
    name, _, table = (options or "table=gallery").partition("=")
    if name != "table" or not re.fullmatch(r"[A-Za-z0-9][A-Za-z0-9_-]*", table):
        raise InvalidInput(
            f"lancedb:// has the option table=NAME with a name of ASCII letters, digits, _ and -, "
            f"got {options!r}"
        )
    try:
        from crossfade.stores.lancedb.store import LanceStore
    except ModuleNotFoundError as error:
        if error.name not in ("lancedb", "pyarrow"):
            raise
        raise MissingExtra("the lancedb:// store", "lancedb") from error
    return LanceStore(Path(path), table)
