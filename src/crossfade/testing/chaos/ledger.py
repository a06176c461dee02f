"""What was done to a gallery and what it answered, noted so that no kill can take it back.

A line is one write to a file opened for appending, before and after each operation. Times are
the machine's monotonic clock, which all processes share. A write without an answer was in flight
when its process was killed: it may have happened or not.
"""

from __future__ import annotations

import json
import os
from bisect import bisect_right
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from time import monotonic
from typing import Any

from crossfade.testing.chaos.content import ABSENT, Content

__all__ = ["History", "Ledger", "Search", "Write", "read_ledger"]


class Ledger:
    """Appends to the file; from several threads and processes at once."""

    def __init__(self, path: Path) -> None:
        self._file = os.open(path, os.O_WRONLY | os.O_APPEND | os.O_CREAT, 0o644)

    def intend(self, writes: Mapping[int, Content]) -> int:
        """Note what is about to be written; the mark is for :meth:`answer`."""
        rows = [[id, one.revision, one.old, one.new] for id, one in writes.items()]
        mark = int.from_bytes(os.urandom(6))
        self._append({"write": mark, "rows": rows})
        return mark

    def answer(self, mark: int, *, refused: bool = False) -> None:
        """Note that it was acknowledged, or refused."""
        self._append({"refused" if refused else "done": mark})

    def found(self, started: float, mode: str, hits: Sequence[tuple[int, int]]) -> None:
        """Note a search: when it began, and the ids and revisions that it returned."""
        self._append({"search": started, "mode": mode, "hits": hits})

    def fail(self, what: str) -> None:
        """Note an error that should not have been."""
        self._append({"error": what})

    def _append(self, record: dict[str, Any]) -> None:
        # A line torn by a kill must not swallow the next one: each brings its own beginning.
        os.write(self._file, f"\n{json.dumps(record | {'at': monotonic()})}".encode())


@dataclass(frozen=True)
class Write:
    """A write of one id: begun at a time, and acknowledged at another, or never."""

    begun: float
    acknowledged: float | None
    content: Content


@dataclass(frozen=True)
class Search:
    """What a search that ran from one time to another returned: ids and revisions."""

    begun: float
    ended: float
    mode: str
    hits: Sequence[tuple[int, int]]


@dataclass(frozen=True)
class History:
    """All that a ledger says.

    Attributes:
        writes: of each id, in the order of time; refused ones did not happen and are left out.
        acknowledged, refused: how many operations were.
    """

    writes: dict[int, list[Write]] = field(default_factory=dict)
    searches: list[Search] = field(default_factory=list)
    errors: list[str] = field(default_factory=list)
    acknowledged: int = 0
    refused: int = 0

    def possible(self, id: int, begun: float, ended: float) -> set[Content]:
        """What may have been seen of an id at any moment from one time to another."""
        writes = self.writes.get(id, [])
        seen = set()
        latest = bisect_right(writes, ended, key=lambda write: write.begun) - 1
        for write in writes[latest::-1] if latest >= 0 else ():
            seen.add(write.content)
            if write.acknowledged is not None and write.acknowledged < begun:
                return seen
        return seen | {ABSENT}

    def last_revision(self) -> int:
        """The highest revision ever intended."""
        writes = (one for some in self.writes.values() for one in some)
        return max((one.content.revision for one in writes), default=0)


def read_ledger(path: Path) -> History:
    """Read a ledger, also one that is being written."""
    records = [one for line in path.read_bytes().split(b"\n") if (one := _parsed(line))]
    done = {record["done"]: record["at"] for record in records if "done" in record}
    refused = {record["refused"] for record in records if "refused" in record}
    history = History(acknowledged=len(done), refused=len(refused))
    for record in records:
        if "write" in record and record["write"] not in refused:
            for id, *content in record["rows"]:
                write = Write(record["at"], done.get(record["write"]), Content(*content))
                history.writes.setdefault(id, []).append(write)
        elif "search" in record:
            hits = [(id, revision) for id, revision in record["hits"]]
            history.searches.append(Search(record["search"], record["at"], record["mode"], hits))
        elif "error" in record:
            history.errors.append(record["error"])
    return history


def _parsed(line: bytes) -> dict[str, Any] | None:
    try:
        record = json.loads(line)
    except ValueError:
        return None  # empty, or torn by a kill
    return record if isinstance(record, dict) and "at" in record else None
