"""The audit log: one line for each move of a gallery's lifecycle, chained by hashes.

A line is canonical JSON. ``hash`` is the SHA-256 of the line without it, ``previous`` the hash of
the line before (64 zeros for the first). A line that was changed no longer has its hash; one that
was removed, inserted or reordered no longer follows its neighbours. Who removes lines from the
end leaves a valid, shorter log: it is noticed by whoever knows the hash of the last line.
"""

from __future__ import annotations

import getpass
import hashlib
import json
import os
import socket
from collections.abc import Iterable, Mapping
from dataclasses import asdict, dataclass
from datetime import UTC, datetime
from typing import Any

from crossfade.stores.uri import redact_text

__all__ = ["ACTOR_VARIABLE", "AuditLine", "Entry", "Verdict", "chain", "verify_lines", "whoami"]

ACTOR_VARIABLE = "CROSSFADE_ACTOR"
"""The environment variable that overrides who is recorded."""

_NOTHING = "0" * 64


@dataclass(frozen=True)
class Entry:
    """What is to be recorded of a move.

    Attributes:
        move: its name in the table of moves. before, after: states.
        actor: who made it; None for :func:`whoami`.
        details: a JSON object; credentials in its texts are redacted.
    """

    move: str
    before: str
    after: str
    actor: str | None = None
    details: Mapping[str, Any] | None = None


@dataclass(frozen=True)
class AuditLine:
    """A recorded move. ``time`` is UTC, ISO 8601; ``number`` counts from 1."""

    number: int
    time: str
    actor: str
    move: str
    before: str
    after: str
    details: Mapping[str, Any]
    previous: str
    hash: str

    @property
    def text(self) -> str:
        """As canonical JSON."""
        return _canonical(asdict(self))

    @classmethod
    def parse(cls, text: str) -> AuditLine:
        """From :attr:`text`, to the letter.

        Raises:
            ValueError: it is not the canonical form of a line, or its hash is another.
        """
        fields = json.loads(text)
        if not isinstance(fields, dict) or set(fields) != set(cls.__dataclass_fields__):
            raise ValueError("it is no line of an audit log")
        line = cls(**fields)
        if _hash(fields) != line.hash or line.text != text:
            raise ValueError("it was changed: its hash is another")
        return line


@dataclass(frozen=True)
class Verdict:
    """Whether a log is whole.

    Attributes:
        lines: how many there are. head: the hash of the last one.
        bad_line: the first line that is wrong, counted from 1, or None.
        problem: what is wrong with it; empty if nothing is.
    """

    lines: int
    head: str
    bad_line: int | None = None
    problem: str = ""

    @property
    def whole(self) -> bool:
        """Whether nothing is wrong."""
        return self.bad_line is None


def chain(previous: AuditLine | None, entry: Entry) -> AuditLine:
    """The line that follows ``previous``."""
    fields: dict[str, Any] = {
        "number": previous.number + 1 if previous else 1,
        "time": datetime.now(UTC).isoformat(timespec="microseconds").replace("+00:00", "Z"),
        "actor": entry.actor or whoami(),
        "move": entry.move,
        "before": entry.before,
        "after": entry.after,
        "details": _redacted(dict(entry.details or {})),
        "previous": previous.hash if previous else _NOTHING,
    }
    return AuditLine(**fields, hash=_hash(fields))


def verify_lines(texts: Iterable[str], head: str | None = None) -> Verdict:
    """Check a log from its first line on.

    Args:
        texts: the lines, without line ends.
        head: the hash that the last line should have, if it is known.
    """
    last: AuditLine | None = None
    count = 0
    for count, text in enumerate(texts, start=1):
        if problem := _problem(text, last):
            return Verdict(count, last.hash if last else _NOTHING, count, problem)
        last = AuditLine.parse(text)
    found = last.hash if last else _NOTHING
    if last is None:
        return Verdict(0, found, 1, "it is missing: the log is empty")
    if head is not None and head != found:
        problem = "it is missing: the log should end with another line (removed at the end?)"
        return Verdict(count, found, count + 1, problem)
    return Verdict(count, found)


def whoami() -> str:
    """Who acts: ``$CROSSFADE_ACTOR``, or user@host."""
    if named := os.environ.get(ACTOR_VARIABLE, "").strip():
        return named
    try:
        user = getpass.getuser()
    except (KeyError, OSError):  # no such user in the system's list, as in some containers
        user = f"uid{os.getuid()}"
    return f"{user}@{socket.gethostname()}"


def _problem(text: str, last: AuditLine | None) -> str:
    try:
        line = AuditLine.parse(text)
    except (ValueError, TypeError, RecursionError) as error:
        return "it is no JSON" if isinstance(error, json.JSONDecodeError) else str(error)
    expected = last.number + 1 if last else 1
    if line.number != expected:
        return f"line {expected} is missing here, this is line {line.number}"
    if line.previous != (last.hash if last else _NOTHING):
        return "it does not follow the line before it: one of the two was replaced"
    return ""


def _hash(fields: Mapping[str, Any]) -> str:
    hashed = {name: value for name, value in fields.items() if name != "hash"}
    return hashlib.sha256(_canonical(hashed).encode()).hexdigest()


def _canonical(fields: Mapping[str, Any]) -> str:
    return json.dumps(fields, sort_keys=True, separators=(",", ":"), allow_nan=False)


def _redacted(value: Any) -> Any:
    """JSON values whose texts hold no credentials."""
    if isinstance(value, str):
        return redact_text(value)
    if isinstance(value, Mapping):
        return {redact_text(str(key)): _redacted(part) for key, part in value.items()}
    if isinstance(value, (list, tuple)):
        return [_redacted(part) for part in value]
    return value
