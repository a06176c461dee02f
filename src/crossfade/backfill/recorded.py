"""The queries that a gallery's service has answered, as its backfill learns from them."""

from __future__ import annotations

import warnings
from pathlib import Path

from crossfade.embeddings import QueryLog, QueryRecorder, unit_rows
from crossfade.errors import CrossfadeError, InvalidInput
from crossfade.upgrade import (
    FEWEST_QUERIES,
    MOST_ITEMS,
    UnlikeQueriesWarning,
    Upgrade,
    can_be_taught,
    log_nearness,
    why_unlike,
)

__all__ = ["Queries", "RecordedQueries"]

Queries = QueryLog | QueryRecorder | str | Path
"""A log, a recorder, or the file or folder that recorders write."""


class RecordedQueries:
    """Queries that grow in number while a job runs: read anew each time.

    What is damaged later costs no job its work: it is warned of, and nothing is learned from it.
    Queries that find nothing near are learned from, and warned of: they may be of another gallery.

    Args:
        queries: None for none. upgrade: the gallery's.

    Raises:
        InvalidInput: they are nothing of the kind, or no upgrade of its kind learns from them.
        SpaceMismatch: of other widths than the models'. DataFileError: they can't be read.
    """

    def __init__(self, queries: Queries | None, upgrade: Upgrade) -> None:
        if queries is not None and not isinstance(queries, QueryLog | QueryRecorder | str | Path):
            raise InvalidInput(
                f"queries is a {type(queries).__name__}, wanted a crossfade.QueryLog, a "
                "crossfade.QueryRecorder, or a path of what it writes"
            )
        self._queries = queries
        self._upgrade = upgrade
        self._has_warned = self._has_judged = False
        if queries is None:
            return
        if not can_be_taught(upgrade):
            raise InvalidInput(
                f"this gallery's upgrade, by {upgrade.method!r}, does not learn from recorded "
                "queries: leave queries out; one that is fitted anew by auto does"
            )
        self._read()

    def read(self) -> QueryLog | None:
        """What there is now, at unit length; None for nothing."""
        try:
            queries = self._read()
            self._warn_if_unlike(queries)
            return queries
        except CrossfadeError as error:
            if not self._has_warned:
                warnings.warn(
                    f"nothing is learned from recorded queries: {error}",
                    RuntimeWarning,
                    stacklevel=2,
                )
            self._has_warned = True
            return None

    def _warn_if_unlike(self, queries: QueryLog | None) -> None:
        rule = self._upgrade.two_encoder
        if queries is None or len(queries) < FEWEST_QUERIES or rule is None or self._has_judged:
            return
        self._has_judged = True
        nearness = log_nearness(queries, unit_rows(rule.reference_new[:MOST_ITEMS]))
        if (unlike := why_unlike(nearness)) is not None:
            warnings.warn(unlike, UnlikeQueriesWarning, stacklevel=2)

    def _read(self) -> QueryLog | None:
        queries = self._queries
        if isinstance(queries, QueryRecorder):
            queries = queries.log()
        elif isinstance(queries, str | Path):
            queries = _load(Path(queries))
        if queries is None or not len(queries):
            return None
        return queries.checked(self._upgrade.source.dim, self._upgrade.target.dim)


def _load(path: Path) -> QueryLog | None:
    """The log in a file or folder; None where nothing has been written yet."""
    if path.is_dir() and not any(path.glob("*.npz")):
        return None
    return QueryLog.load(path) if path.exists() else None
