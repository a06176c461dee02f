"""Items that a query's ranking leaves out: ``query_id gallery_id`` a line.

Some tasks say of certain items that finding them is neither right nor wrong. The customary
case is person search, where images of the query's person taken by the query's own camera are
ignored (Zheng et al., *Scalable Person Re-identification: A Benchmark*, ICCV 2015).
"""

from __future__ import annotations

from collections.abc import Mapping, Set
from dataclasses import dataclass
from pathlib import Path

from crossfade.errors import DataFileError

__all__ = ["IgnoredItems"]


@dataclass(frozen=True)
class IgnoredItems:
    """Which gallery items are left out of the ranking of which query.

    Attributes:
        items: query id -> gallery ids. Ids are text here, as in the file; they are matched
            with ``str(id)``. Ids that don't exist are no error: there is nothing to leave out.
    """

    items: Mapping[str, Set[str]]

    @classmethod
    def load(cls, path: str | Path) -> IgnoredItems:
        """Read a file of lines ``query_id gallery_id``.

        Raises:
            DataFileError: missing, not text, or a line of another form.
        """
        try:
            text = Path(path).read_text(encoding="utf-8-sig")
        except (OSError, UnicodeDecodeError) as error:
            raise DataFileError(f"{path} can't be read as ignored items: {error}") from error
        items: dict[str, set[str]] = {}
        for number, line in enumerate(text.splitlines(), start=1):
            fields = line.split()
            if len(fields) not in (0, 2):
                raise DataFileError(
                    f"{path}, line {number}: got {line.strip()[:80]!r}, wanted "
                    "'query_id gallery_id'"
                )
            if fields:
                items.setdefault(fields[0], set()).add(fields[1])
        return cls(items)

    def lines(self) -> list[str]:
        """As the lines of a file, sorted."""
        return sorted(f"{query} {item}" for query, items in self.items.items() for item in items)
