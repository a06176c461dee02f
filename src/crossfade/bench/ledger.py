"""Finished runs on disk: one JSON object a line, appended whole or not at all.

Several processes may write to one ledger. A line that a killed process or a full disk cut off
is cut away before the next one is written.
"""

from __future__ import annotations

import fcntl
import json
import os
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any, BinaryIO

from crossfade.errors import DataFileError, OutputError

__all__ = ["Ledger", "Run", "RunKey"]

Run = Mapping[str, Any]
"""A finished run as it is written; see :func:`crossfade.bench.measure.measure`."""


@dataclass(frozen=True)
class RunKey:
    """What makes two runs the same, so that the second one is not needed.

    Attributes:
        version: of the package. data_sha256: of the data set.
    """

    suite: str
    seed: int
    method: str
    mode: str
    order: str
    version: str
    data_sha256: str

    @classmethod
    def of(cls, run: Run) -> RunKey:
        """The key of a finished run."""
        return cls(**{name: run[name] for name in cls.__dataclass_fields__})

    def to_json(self) -> dict[str, Any]:
        """As the first part of a finished run."""
        return asdict(self)


class Ledger:
    """The finished runs in a file, oldest first."""

    def __init__(self, path: Path) -> None:
        """Read the file if it exists.

        Raises:
            DataFileError: it is not a ledger.
            OutputError: its folder can't be written.
        """
        self.path = path
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
