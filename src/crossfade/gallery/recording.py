"""Handing answered queries to a recorder, which never makes a search fail."""

from __future__ import annotations

import logging
import warnings

from crossfade.embeddings import QueryRecorder, unit_rows
from crossfade.errors import SpaceMismatch
from crossfade.gallery.request import Queries
from crossfade.upgrade import Upgrade

__all__ = ["Recording", "warn_aside"]

_log = logging.getLogger(__name__)


class Recording:
    """A gallery's use of a recorder, if it has one.

    Raises:
        SpaceMismatch: the recorder holds queries of other widths than the upgrade's spaces.
    """

    def __init__(self, recorder: QueryRecorder | None, upgrade: Upgrade) -> None:
        self._recorder = recorder
        self._dims = upgrade.target.dim, upgrade.source.dim
        self._has_warned = False
        if recorder is not None:
            _require_width("new", recorder.dim_new, upgrade.target.dim)
            _require_width("old", recorder.dim_old, upgrade.source.dim)

    def record(self, queries: Queries) -> None:
        """Record queries that were answered, if the new model embedded them."""
        if self._recorder is None or queries.new is None:
            return
        try:
            # In mode "old" nobody has looked at the new embeddings.
            new = unit_rows(queries.new, dim=self._dims[0], name="query_new")
            old = queries.old
            if old is not None:
                old = unit_rows(old, dim=self._dims[1], name="query_old")
            self._recorder.add(new, old)
        except Exception as error:
            if not self._has_warned:
                self._has_warned = True
                warn_aside(f"queries are not recorded: {error}")

    def flush(self) -> None:
        """Have the recorder write what it holds; it stays open."""
        if self._recorder is None:
            return
        try:
            self._recorder.flush()
        except Exception as error:
            warn_aside(f"recorded queries are not written, but still held: {error}")


def warn_aside(words: str, category: type[Warning] = RuntimeWarning) -> None:
    """Warn of what must not stop the work that it comes up in, where warnings are errors, too."""
    try:
        warnings.warn(words, category, stacklevel=4)
    except category:
        _log.warning(words)


def _require_width(side: str, recorded: int | None, wanted: int) -> None:
    if recorded is not None and recorded != wanted:
        raise SpaceMismatch(
            f"the recorder holds {side} embeddings of dimension {recorded}, the upgrade's have "
            f"{wanted}; give every upgrade a recorder, and a file, of its own"
        )
