"""The queries that a gallery's service has answered, as its backfill learns from them."""

from __future__ import annotations

from pathlib import Path

from crossfade.embeddings import QueryLog, QueryRecorder
from crossfade.errors import CrossfadeError, DataFileError, InvalidInput
from crossfade.gallery.recording import warn_aside
from crossfade.upgrade import (
    FEWEST_QUERIES,
    UnlikeQueriesWarning,
    Upgrade,
    queries_to_teach,
    require_teachable,
    why_harmful,
)

__all__ = ["QuerySource", "RecordedQueries", "why_nothing_learned"]

QuerySource = QueryLog | QueryRecorder | str | Path
"""A log, a recorder, or the file or folder that recorders write."""


class RecordedQueries:
    """Queries that grow in number while a job runs: read anew each time.

    What can't be read later costs no job its work: it is warned of, and nothing is learned. Nor is
    anything from queries that find nothing near: they are of another gallery, or by another model.

    Args:
        queries: None for none. upgrade: the gallery's.

    Raises:
        InvalidInput: they are nothing of the kind, or no upgrade of its kind learns from them.
        SpaceMismatch: of other widths than the models'. DataFileError: they can't be read.
    """

    def __init__(self, queries: QuerySource | None, upgrade: Upgrade) -> None:
        if queries is not None and not isinstance(queries, QueryLog | QueryRecorder | str | Path):
            raise InvalidInput(
                f"queries is a {type(queries).__name__}, wanted a crossfade.QueryLog, a "
                "crossfade.QueryRecorder, or a path of what it writes"
            )
        self._queries = queries
        self._upgrade = upgrade
        self._has_warned = self._has_told_of_none = False
        if queries is not None:
            require_teachable(upgrade)
        self._read()

    def read(self) -> QueryLog | None:
        """What there is now to learn from: distinct, at unit length; None for too few."""
        try:
            queries = self._read()
        except CrossfadeError as error:
            self._warn(f"nothing is learned from recorded queries: {error}")
            return None
        return None if queries is None or self._is_unlike(queries) else queries

    def warn_if_none(self) -> None:
        """After a run: of a path where nothing was written, it may be mistyped."""
        if isinstance(self._queries, str | Path):
            try:
                missing = _load(Path(self._queries)) is None
            except CrossfadeError:
                return  # warned of when it was read
            if missing and not self._has_told_of_none:
                # What can't be learned from later is another matter, and told as well.
                warn_aside(_too_few(Path(self._queries), 0), RuntimeWarning)
                self._has_told_of_none = True

    def _is_unlike(self, queries: QueryLog) -> bool:
        unlike = why_harmful(self._upgrade, queries)
        if unlike is not None:
            self._warn(f"nothing is learned from recorded queries: {unlike}", UnlikeQueriesWarning)
        return unlike is not None

    def _warn(self, words: str, category: type[Warning] = RuntimeWarning) -> None:
        if not self._has_warned:
            warn_aside(words, category)
        self._has_warned = True

    def _read(self) -> QueryLog | None:
        queries = self._queries
        if isinstance(queries, QueryRecorder):
            queries = queries.log()
        elif isinstance(queries, str | Path):
            queries = _load(Path(queries))
        if queries is None:
            return None
        found = queries_to_teach(self._upgrade, queries, least=0)
        return found if len(found) >= FEWEST_QUERIES else None


def _too_few(path: Path, found: int) -> str:
    return (
        f"nothing was learned from recorded queries yet: {path} holds {found}, {FEWEST_QUERIES} "
        "are the fewest"
    )


def why_nothing_learned(path: Path) -> str | None:
    """What to tell of a run that was given queries and has not learned from them.

    None where there were none at all, of which the run has warned.
    """
    try:
        log = _load(path)
    except CrossfadeError as error:
        return f"nothing was learned from recorded queries: {error}"
    if log is None:
        return None
    found = len(log.distinct())
    if found < FEWEST_QUERIES:
        return _too_few(path, found)
    return (
        f"nothing was learned from the {found:,} queries in {path}: the upgrade was fitted with "
        "more than half as many, they find nothing near, no item waits, or more must be backfilled "
        "first"
    )


def _load(path: Path) -> QueryLog | None:
    """The log in a file or folder; None where nothing has been written yet."""
    try:
        if path.is_dir() and not any(path.glob("*.npz")):
            return None
        return QueryLog.load(path) if path.exists() else None
    except OSError as error:
        raise DataFileError(f"{path} can't be read: {error}") from error
