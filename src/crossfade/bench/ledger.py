"""Finished runs on disk: one JSON object a line, appended whole or not at all.

Several processes may write to one ledger. A line that a killed process or a full disk cut off
is cut away before the next one is written.
"""

from __future__ import annotations

import fcntl
import json
import os
from collections import Counter
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any, BinaryIO

from crossfade.errors import DataFileError, OutputError

__all__ = ["Ledger", "Run", "RunKey"]

Run = Mapping[str, Any]
"""A finished run as it is written; see :func:`crossfade.bench.measure.measure`."""
_Table = tuple[str, bool]
"""Whose runs are put together: a suite's, small sets apart."""


@dataclass(frozen=True)
class _Source:
    """What a suite's seeds draw from, and its logs by the suffix of methods that learn from one."""

    data: str | None
    logs: Mapping[str, str | None]

    def is_of(self, run: Run) -> bool:
        """Whether the run is of this data, and of this log if of any."""
        key = RunKey.of(run)
        if key.source_sha256 != self.data:
            return False
        return key.log_sha256 in (None, self.logs.get(key.suffix))


@dataclass(frozen=True)
class RunKey:
    """What makes two runs the same, so that the second one is not needed.

    Attributes:
        version: of the package. data_sha256, source_sha256, log_sha256: see
            :class:`crossfade.bench.dataset.Identity`; lines that lack the latter two were written
            before they were kept.
    """

    suite: str
    seed: int
    method: str
    mode: str
    order: str
    version: str
    data_sha256: str
    source_sha256: str | None = None
    log_sha256: str | None = None

    @classmethod
    def of(cls, run: Run) -> RunKey:
        """The key of a finished run."""
        return cls(**{name: run[name] for name in cls.__dataclass_fields__ if name in run})

    @property
    def suffix(self) -> str:
        """Of the method's name: what it learns from beside pairs, or how it merges."""
        return self.method.partition("+")[2]

    def to_json(self) -> dict[str, Any]:
        """As the first part of a finished run."""
        return {name: value for name, value in asdict(self).items() if value is not None}


class Ledger:
    """The finished runs in a file, oldest first."""

    def __init__(self, path: Path) -> None:
        """Read the file if it exists.

        Raises:
            DataFileError: it is not a ledger.
            OutputError: its folder can't be written.
        """
        self.path = path
        self._told: dict[_Table, _Source] = {}
        try:
            path.parent.mkdir(parents=True, exist_ok=True)
            with _locked(path) as file:
                self._runs = list(_parse(file.read(), path))
        except OSError as error:
            raise OutputError(f"can't keep results in {path}: {error.strerror}") from error

    @property
    def runs(self) -> list[Run]:
        """All of them; of runs with one key the last one counts."""
        return list({RunKey.of(run): run for run in self._runs}.values())

    def holds_now(
        self, suite: str, quick: bool, source: str | None, logs: Mapping[str, str | None]
    ) -> None:
        """Tell what a suite's data is now: another folder may have its name since.

        Args:
            source: ``source_sha256``. logs: ``log_sha256`` by the suffix of methods.
        """
        self._told[suite, quick] = _Source(source, logs)

    @property
    def present(self) -> list[Run]:
        """The runs of the data that each suite has now, or as of its last run: no others may be
        put together."""
        sources = self._sources()
        return [run for run in self.runs if sources[_table(run)].is_of(run)]

    @property
    def left_out(self) -> Counter[tuple[str, bool]]:
        """How many runs of other data under the same name there are, by suite and ``quick``."""
        sources = self._sources()
        return Counter(_table(run) for run in self.runs if not sources[_table(run)].is_of(run))

    def _sources(self) -> dict[_Table, _Source]:
        sources: dict[_Table, _Source] = {}
        for run in self._runs:
            key = RunKey.of(run)
            before = sources.get(_table(run))
            logs = {} if before is None or before.data != key.source_sha256 else {**before.logs}
            if key.log_sha256 is not None:
                logs[key.suffix] = key.log_sha256
            sources[_table(run)] = _Source(key.source_sha256, logs)
        return {**sources, **self._told}

    def __contains__(self, key: object) -> bool:
        return any(RunKey.of(run) == key for run in self._runs)

    def append(self, run: Run) -> None:
        """Write a run durably.

        Raises:
            OutputError: it can't be written.
        """
        line = json.dumps(run, allow_nan=False).encode() + b"\n"
        try:
            with _locked(self.path) as file:
                _cut_off_unfinished_line(file)
                file.seek(0, os.SEEK_END)
                file.write(line)
                file.flush()
                os.fsync(file.fileno())
        except OSError as error:
            raise OutputError(f"can't keep a result in {self.path}: {error.strerror}") from error
        self._runs.append(run)


def _table(run: Run) -> _Table:
    return run["suite"], run["quick"]


@contextmanager
def _locked(path: Path) -> Iterator[BinaryIO]:
    with path.open("a+b") as file:
        fcntl.flock(file, fcntl.LOCK_EX)
        file.seek(0)
        yield file


def _parse(content: bytes, path: Path) -> Iterator[Run]:
    lines = content.split(b"\n")
    for number, line in enumerate(lines[:-1], start=1):  # behind the last newline: unfinished
        try:
            run = json.loads(line)
            RunKey.of(run)
        except (ValueError, KeyError, TypeError) as error:
            raise DataFileError(
                f"{path}, line {number} is not a finished run ({error!r}); name another --out, "
                "or remove the line"
            ) from error
        yield run


def _cut_off_unfinished_line(file: BinaryIO) -> None:
    file.seek(0)
    content = file.read()
    end = content.rfind(b"\n") + 1
    if end < len(content):
        file.truncate(end)
