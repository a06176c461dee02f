"""Handing answered queries to a recorder, which never makes a search fail."""

from __future__ import annotations

import logging
import warnings

from crossfade.embeddings import QueryRecorder
from crossfade.errors import SpaceMismatch
from crossfade.gallery.request import Queries
from crossfade.upgrade import Upgrade

__all__ = ["Recording"]

_log = logging.getLogger(__name__)


class Recording:
    """A gallery's use of a recorder, if it has one.

    Raises:
        SpaceMismatch: the recorder holds queries of other widths than the upgrade's spaces.
    """

    def __init__(self, recorder: QueryRecorder | None, upgrade: Upgrade) -> None:
        self._recorder = recorder
        self._has_warned = False
        if recorder is not None:
            _require_width("new", recorder.dim_new, upgrade.target.dim)
            _require_width("old", recorder.dim_old, upgrade.source.dim)

    def record(self, queries: Queries) -> None:
        """Record queries that were answered, if the new model embedded them."""
        if self._recorder is None or queries.new is None:
            return
        try:
            self._recorder.add(queries.new, queries.old)
        except Exception as error:
            if not self._has_warned:
                self._has_warned = True
                _warn(f"queries are not recorded: {error}")

    def flush(self) -> None:
        """Have the recorder write what it holds; it stays open."""
        if self._recorder is None:
            return
        try:
            self._recorder.flush()
        except Exception as error:
            _warn(f"recorded queries are not written, but still held: {error}")


def _warn(words: str) -> None:
    try:
        warnings.warn(words, RuntimeWarning, stacklevel=4)
    except RuntimeWarning:
        # Where warnings are errors, too: the search was answered, and the gallery is to close.
        _log.warning(words)


def _require_width(side: str, recorded: int | None, wanted: int) -> None:
    if recorded is not None and recorded != wanted:
        raise SpaceMismatch(
            f"the recorder holds {side} embeddings of dimension {recorded}, the upgrade's have "
            f"{wanted}; give every upgrade a recorder, and a file, of its own"
        )
