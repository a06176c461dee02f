"""The driver's errors become ours at this border."""

from __future__ import annotations

import re
from collections.abc import Iterator
from contextlib import contextmanager

import psycopg
from psycopg import errors

from crossfade.errors import InvalidInput, StoreError, StoreUnavailable

__all__ = ["is_conflict", "is_lost", "translated"]

# Refusals at the door come without an error code, in the server's words.
_REFUSED = re.compile(
    r'database ".*" does not exist|role ".*" does not exist|authentication failed|no password '
    r"supplied|no pg_hba.conf entry|permission denied|is not permitted to log in|invalid "
    r"(sslmode|value|integer)|certificate"
)
_FOR_NOW = (
    "08",  # connection
    "53",  # disk, memory or connections used up
    "55P03",  # a lock was not to be had in time
    "57P",  # the server stops or starts
    "40",  # conflicts that outlasted all attempts
    "25P03",  # idle for too long
)


@contextmanager
def translated(where: object) -> Iterator[None]:
    """Raise StoreUnavailable, InvalidInput or StoreError instead of the driver's errors.

    Args:
        where: what to call the collection; it must hold no credentials.
    """
    try:
        yield
    except psycopg.Error as error:
        raise _translation(error, where) from error


def is_lost(error: psycopg.Error) -> bool:
    """Whether the connection is gone."""
    state = error.sqlstate or ""
    return isinstance(error, (psycopg.OperationalError, psycopg.InterfaceError)) and (
        not state or state.startswith(("08", "57P", "25P03"))
    )


def is_conflict(error: psycopg.Error) -> bool:
    """Whether two transactions got in each other's way; the same again may succeed."""
    return isinstance(error, (errors.DeadlockDetected, errors.SerializationFailure))


def _translation(error: psycopg.Error, where: object) -> Exception:
    state = error.sqlstate or ""
    words = error.diag.message_primary or str(error).strip() or type(error).__name__
    if isinstance(error, psycopg.OperationalError) and not state:
        if _REFUSED.search(words):
            return StoreError(f"{where}: the server refuses the connection: {_reason(words)}")
        return StoreUnavailable(f"{where} can't be reached for now: {_reason(words)}")
    if state.startswith(_FOR_NOW) or is_lost(error):
        return StoreUnavailable(f"{where} is not available for now: {words}; try again")
    if state == "42501":
        return StoreError(f"{where}: {words}; the database's role needs that right")
    if state.startswith(("22", "23")):
        return InvalidInput(f"{where} refuses the values: {words}")
    return StoreError(f"{where}: {words}")


def _reason(words: str) -> str:
    """The server's own words, without the driver's preamble and advice."""
    return words.rpartition("failed: ")[2].partition("\n")[0].removeprefix("FATAL:").strip()
