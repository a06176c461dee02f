"""`crossfade audit`: print, check and export the audit log."""

from __future__ import annotations

from dataclasses import asdict
from pathlib import Path
from typing import Annotated

import typer

from crossfade.cli.lifecycle import AsJson
from crossfade.cli.output import message, print_json
from crossfade.errors import InvalidInput
from crossfade.gallery.audit import AuditLine, Verdict
from crossfade.operations import export_log, read_audit, verify_audit, verify_file
from crossfade.stores.uri import redact_uri

__all__ = ["audit"]

BROKEN = 1


def audit(
    log: Annotated[str, typer.Argument(help="The collection, or a file that was exported.")],
    export: Annotated[
        Path | None, typer.Option(help="Write the collection's log as JSON lines.")
    ] = None,
    head: Annotated[
        str | None, typer.Option(help="The hash that the file's last line should have.")
    ] = None,
    against: Annotated[
        str | None, typer.Option(help="The collection that the file should be the log of.")
    ] = None,
    json: AsJson = False,
) -> None:
    """Print a collection's audit log and check it, or check an exported one.

    Exit codes: 0 it is whole; 1 a line was changed, removed or reordered, its number is named;
    2 it can't be read.

    Example: crossfade audit qdrant://gallery --export audit.jsonl
    """
    if "://" not in log:
        if export is not None:
            raise InvalidInput("--export writes a collection's log; give its URI")
        _report(verify_file(Path(log), head=head, against=against), log, [], json=json)
        return
    if head is not None or against is not None:
        raise InvalidInput("--head and --against are for a file that was exported")
    verdict = verify_audit(log) if export is None else export_log(log, export)
    _report(verdict, redact_uri(log), read_audit(log), json=json)


def _report(verdict: Verdict, name: str, lines: list[str], *, json: bool) -> None:
    if json:
        whole = {"whole": verdict.whole, **asdict(verdict)}
        print_json({"log": name, **whole, "entries": [_parsed(line) for line in lines]})
    else:
        for line in lines:
            typer.echo(_in_words(line))
        if verdict.whole:
            typer.echo(f"{name}: {verdict.lines} lines, whole; head {verdict.head}")
    if not verdict.whole:
        message(f"error: {name}: line {verdict.bad_line}: {verdict.problem}")
        raise typer.Exit(BROKEN)


def _parsed(text: str) -> object:
    try:
        return asdict(AuditLine.parse(text))
    except (ValueError, TypeError):
        return text


def _in_words(text: str) -> str:
    try:
        line = AuditLine.parse(text)
    except (ValueError, TypeError):
        return f"?  {text!r}"
    # Told by others: nothing in it may move a terminal's cursor.
    words = (
        f"{line.number}  {line.time}  {line.actor}  {line.move}: {line.before} -> {line.after}"
        + "".join(f"  {name}={value}" for name, value in line.details.items())
    )
    return "".join(letter if letter.isprintable() else "?" for letter in words)
