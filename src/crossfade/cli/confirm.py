"""Asking before something is begun or lost; never without a terminal."""

from __future__ import annotations

import sys

import typer

from crossfade.errors import InvalidInput

__all__ = ["confirm"]


def confirm(question: str, *, yes: bool) -> None:
    """Go on if the user says so.

    Args:
        yes: said already, by ``--yes``.

    Raises:
        InvalidInput: there is no terminal to ask on.
        typer.Abort: the answer was no.
    """
    if yes:
        return
    if not (sys.stdin and sys.stdin.isatty()):
        raise InvalidInput(f"{question} There is no terminal to ask on; pass --yes to say so")
    typer.confirm(question, abort=True, err=True)
