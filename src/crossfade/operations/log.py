"""`audit`: read, check and export the audit log."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import TypeVar

from crossfade.durable import replace_file
from crossfade.errors import DataFileError
from crossfade.gallery.audit import Verdict, verify_lines
from crossfade.gallery.record import ReadPointer, read_log, verify_log
from crossfade.operations.opening import look

__all__ = ["export_log", "read_audit", "verify_audit", "verify_file"]

_Answer = TypeVar("_Answer")


def read_audit(uri: str) -> list[str]:
    """The lines of a collection's log, also while another process has it."""
    return _reading(uri, read_log)


def verify_audit(uri: str) -> Verdict:
    """Check a collection's log, and that it ends in the state that the collection is in."""
    return _reading(uri, verify_log)


def export_log(uri: str, path: Path) -> Verdict:
    """Write a collection's log as JSON lines, and check it.

    Raises:
        OutputError: the file can't be written.
    """
    lines = read_audit(uri)
    with replace_file(path) as temporary:
        temporary.write_text("".join(f"{line}\n" for line in lines), encoding="utf-8", newline="\n")
    return verify_audit(uri)


def verify_file(path: Path, *, head: str | None = None, against: str | None = None) -> Verdict:
    """Check an exported log.

    Args:
        head: the hash that its last line should have, as it was noted elsewhere.
        against: the URI of its collection, whose log must have the same lines.

    Raises:
        DataFileError: the file can't be read.
    """
    try:
        data = path.read_bytes()
    except OSError as error:
        raise DataFileError(f"{path} can't be read: {error.strerror}; name a file") from error
    texts = data.decode("utf-8", "replace").split("\n")
    # A log ends with a line's end; what comes after the last one was added or cut off.
    lines = texts[:-1] if texts[-1] == "" else texts
    verdict = verify_lines(lines, head)
    if verdict.whole and texts[-1] != "":
        return Verdict(verdict.lines, verdict.head, verdict.lines, "it is cut off at its end")
    if verdict.whole and against is not None:
        return _compared(verdict, lines, read_audit(against))
    return verdict


def _compared(verdict: Verdict, lines: list[str], kept: list[str]) -> Verdict:
    for number, (line, other) in enumerate(zip(lines, kept, strict=False), start=1):
        if line != other:
            problem = "it is another one than the collection's"
            return Verdict(verdict.lines, verdict.head, number, problem)
    if len(lines) != len(kept):
        number = min(len(lines), len(kept)) + 1
        what = "missing" if len(lines) < len(kept) else "not in the collection's log"
        problem = f"it is {what}: the file has {len(lines)} lines, the collection {len(kept)}"
        return Verdict(verdict.lines, verdict.head, number, problem)
    return verdict


def _reading(uri: str, read: Callable[[ReadPointer], _Answer]) -> _Answer:
    return look(
        uri,
        lambda collection: read(collection.store.read_pointer),
        lambda held: read(held.read_pointer),
    )
