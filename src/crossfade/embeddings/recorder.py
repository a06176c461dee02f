"""Recording a sample of the queries that a service answers, for its upgrade to learn from."""

from __future__ import annotations

import os
import stat
import threading
import time
import warnings
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any, Self

import numpy as np

from crossfade.durable import replace_file
from crossfade.embeddings.queries import QueryLog
from crossfade.embeddings.query_sample import (
    KeptQuery,
    QuerySample,
    as_arrays,
    hashes_of,
    read_queries,
)
from crossfade.embeddings.vectors import FloatArray, unit_rows
from crossfade.errors import CrossfadeError, InvalidInput, SpaceMismatch

__all__ = ["QueryRecorder"]

_FIRST = 200
"""A new file is written when so many are kept: with fewer, fitting refuses a log."""
_LEAST_CHANGES = 50
_REST_SECONDS = 10.0
"""From one attempt to write to the next."""
_PRIVATE = 0o600


class QueryRecorder:
    """Keeps a uniform sample of the distinct queries that it is given, in a file.

    The file is one that :meth:`QueryLog.load` reads. Queries are told apart by their unit
    ``new`` rows, bit for bit; those with the smallest hashes are kept (the bottom-k sketch,
    :class:`~crossfade.embeddings.query_sample.QuerySample`). So a query that is repeated counts
    once, the sample does not depend on the order, and a recorder that is started again goes on
    where the file is.

    The file is written by a thread of its own, whole or not at all, readable by its owner alone
    if it is new: first when 200 queries are kept, later when a quarter of them has changed, or 50
    if that is more, at most every ten seconds. What came since is lost to a killed process;
    :meth:`close` writes it. If it can't be written, that is warned of and tried again.

    All methods may be called from several threads, and a recorder may serve several galleries of
    the same models. Before it writes, a recorder takes in what another process has written to the
    file; what that one writes between this reading and writing is lost until it writes again. So
    several processes had better have a file each, in one folder, which :meth:`QueryLog.load`
    puts together; a server that forks its workers makes each one's recorder after that.
    Embeddings of other models of the same widths can't be told apart: give every upgrade a file
    of its own.

    Args:
        path: the ``.npz`` file; if it is there, it is gone on with.
        most: how many queries are kept.

    Raises:
        InvalidInput: another kind of path, ``most`` below 1, or the file holds more than
            ``most``, or no embeddings.
        DataFileError: the file is damaged, or no log of queries. It stays as it is.
    """

    def __init__(self, path: str | Path, most: int = 2_000) -> None:
        if isinstance(most, bool) or not isinstance(most, int) or most < 1:
            raise InvalidInput(f"most is {most!r}, wanted a whole number from 1")
        self.path = Path(path)
        if self.path.suffix != ".npz":
            raise InvalidInput(f"{path}: queries are recorded in an .npz file; name one")
        self.most = most
        self.dim_new: int | None = None
        """The width of ``new``; None until it is known from a file or the first queries."""
        self.dim_old: int | None = None
        self._lock = threading.Lock()
        """Of all below; never held while a disk is waited for."""
        self._sample = QuerySample(most)
        self._changes = 0
        """So many queries of the sample are not in the file as they are here."""
        self._rests_until = 0.0
        self._thread: threading.Thread | None = None
        self._has_warned = False
        self._writing = threading.Lock()
        """Held while the file is read and written."""
        self._closed = threading.Event()
        held = self._read()
        self._has_file = held is not None
        self._take_in(held)

    def add(self, new: Any, old: Any | None = None) -> None:
        """Record queries. Never waits for a disk; most queries of a full sample cost a hash.

        Args:
            new: ``(q, d_new)`` or ``(d_new,)`` embeddings. old: ``(q, d_old)`` or ``(d_old,)`` of
                the same queries, if the old model embedded them as well.

        Raises:
            InvalidInput: NaN or zero rows, other numbers of rows, or the recorder is closed.
            SpaceMismatch: another width than that of the queries before.
        """
        self._refuse_if_closed()
        rows = unit_rows(new, dim=self.dim_new, name="new embeddings of queries")
        old_rows: FloatArray | None = None
        if old is not None:
            old_rows = unit_rows(old, dim=self.dim_old, name="old embeddings of queries")
            if len(old_rows) != len(rows):
                raise InvalidInput(f"got {len(rows)} new and {len(old_rows)} old embeddings")
        # The limit only falls: what is above it now is never wanted again.
        limit = self._sample.limit
        wanted = [(row, number) for row, number in enumerate(hashes_of(rows)) if number <= limit]
        if not wanted:
            return
        with self._lock:
            self._refuse_if_closed()
            dim_old = None if old_rows is None else old_rows.shape[1]
            self._settle_widths(rows.shape[1], dim_old, "queries")
            for row, number in wanted:
                query = KeptQuery(rows[row], None if old_rows is None else old_rows[row])
                self._changes += self._sample.add(number, query)
            self._write_when_due()

    def log(self) -> QueryLog | None:
        """What is kept now; ``old`` if every query has one. None if nothing is kept."""
        with self._lock:
            queries = self._sample.queries()
        if not queries:
            return None
        arrays = as_arrays(queries)
        return QueryLog(arrays["new"], arrays.get("old"))

    def flush(self) -> None:
        """Write the file now, if anything has changed.

        Raises:
            OutputError: it can't be written.
            DataFileError, InvalidInput, SpaceMismatch: it was replaced by something else since,
                or by a log that can't be put together with this one; it stays as it is.
        """
        self._write()

    def close(self) -> None:
        """Write what is not written yet, and take no more queries. Closing again is harmless.

        If it can't be written, that is warned of (RuntimeWarning).
        """
        with self._lock:
            self._closed.set()
            thread = self._thread
        if thread is not None:
            thread.join()
        try:
            self._write()
        except CrossfadeError as error:
            _warn(error, "and are lost")

    def __len__(self) -> int:
        with self._lock:
            return len(self._sample)

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()

    def _refuse_if_closed(self) -> None:
        if self._closed.is_set():
            raise InvalidInput(f"the recorder of {self.path} is closed; make another one")

    def _settle_widths(self, dim_new: int, dim_old: int | None, what: str) -> None:
        """Take these widths, with the lock.

        Raises:
            SpaceMismatch: the sample's are others.
        """
        widths = (("new", dim_new, self.dim_new), ("old", dim_old, self.dim_old))
        for side, width, wanted in widths:
            if width is not None and wanted is not None and width != wanted:
                raise SpaceMismatch(
                    f"{side} embeddings of {what} have dimension {width}, those recorded so far "
                    f"{wanted}; give every pair of models a file of its own"
                )
        self.dim_new = dim_new
        self.dim_old = self.dim_old if dim_old is None else dim_old

    def _read(self) -> dict[int, KeptQuery] | None:
        """What the file holds; None if there is none.

        Raises:
            DataFileError: something else. InvalidInput: no embeddings, or more than is kept.
        """
        if not _is_there(self.path):
            return None
        held = read_queries(self.path)
        if len(held) > self.most:
            raise InvalidInput(
                f"{self.path} holds {len(held):,} queries, most is {self.most:,}, and the others "
                "would be lost; give a larger one, or another file"
            )
        return held

    def _take_in(self, held: Mapping[int, KeptQuery] | None) -> None:
        """Join what a file holds to the sample, with the lock.

        Raises:
            SpaceMismatch: it is of other widths.
        """
        if not held:
            return
        widths = {len(query.old) for query in held.values() if query.old is not None}
        dim_new = len(next(iter(held.values())).new)
        self._settle_widths(dim_new, widths.pop() if widths else None, f"{self.path}")
        for number, query in held.items():
            self._sample.add(number, query)

    def _write(self) -> None:
        """Write the file, if anything has changed. Raises as :meth:`flush` does."""
        with self._writing:
            if not self._changes:
                return
            try:
                held = self._read()
                with self._lock:
                    self._take_in(held)
                    queries, changes = self._sample.queries(), self._changes
                _save(queries, self.path)
                with self._lock:
                    self._changes -= changes
                    self._has_file, self._has_warned = True, False
            finally:
                with self._lock:
                    self._rests_until = time.monotonic() + _REST_SECONDS

    def _write_when_due(self) -> None:
        """See to it, with the lock, that the file is written when it is to be."""
        # One that died of something unforeseen, as of no memory, is followed by another.
        is_seen_to = self._thread is not None and self._thread.is_alive()
        if is_seen_to or self._seconds_to_wait() is None:
            return
        thread = threading.Thread(target=self._run, name="recorded queries", daemon=True)
        thread.start()
        self._thread = thread

    def _seconds_to_wait(self) -> float | None:
        """How long until the file is to be written, with the lock; None if it is not."""
        kept = len(self._sample)
        enough = max(_LEAST_CHANGES, kept / 4) if self._has_file else min(_FIRST, self.most)
        if self._closed.is_set() or (self._changes if self._has_file else kept) < enough:
            return None
        return max(0.0, self._rests_until - time.monotonic())

    def _run(self) -> None:
        """Write as long as there is enough to write."""
        while True:
            with self._lock:
                seconds = self._seconds_to_wait()
                if seconds is None:
                    self._thread = None
                    return
            if self._closed.wait(seconds):
                continue
            try:
                self._write()
            except CrossfadeError as error:
                if not self._has_warned:
                    self._has_warned = True
                    _warn(error, "but it will be tried again")


def _is_there(path: Path) -> bool:
    try:
        path.stat()
    except (FileNotFoundError, NotADirectoryError):
        return False
    except OSError:
        return True  # reading it will say what is wrong
    return True


def _save(queries: Sequence[KeptQuery], path: Path) -> None:
    """Write a file whole, as private as it was.

    Raises:
        OutputError: it can't be written.
    """
    with replace_file(path) as temporary:
        mode = stat.S_IMODE(path.stat().st_mode) if path.exists() else _PRIVATE
        descriptor = os.open(temporary, os.O_WRONLY | os.O_CREAT | os.O_EXCL, _PRIVATE)
        with os.fdopen(descriptor, "wb") as file:
            np.savez(file, allow_pickle=False, **as_arrays(queries))
        temporary.chmod(mode)


def _warn(error: CrossfadeError, what_now: str) -> None:
    warnings.warn(
        f"recorded queries can't be written, {what_now}: {error}", RuntimeWarning, stacklevel=3
    )
