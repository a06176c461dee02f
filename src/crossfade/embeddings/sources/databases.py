"""Databases to read contents from: SQLite files and PostgreSQL, read-only."""

from __future__ import annotations

import sqlite3
import weakref
from abc import ABC, abstractmethod
from collections.abc import Sequence
from contextlib import suppress
from pathlib import Path
from typing import Any
from urllib.parse import quote, unquote, urlsplit

from crossfade.errors import (
    EncoderError,
    EncoderMisconfigured,
    EncoderUnavailable,
    InvalidInput,
    MissingExtra,
)

__all__ = ["Database", "open_database"]

_BUSY = ("SQLITE_BUSY", "SQLITE_LOCKED", "SQLITE_IOERR", "SQLITE_PROTOCOL")
_BUSY_SECONDS = 1.0
_CONNECT_SECONDS = 10


class Database(ABC):
    """Answers SELECTs."""

    placeholder: str
    """What stands for a parameter."""

    @abstractmethod
    def escaped(self, sql: str) -> str:
        """A part of a query without parameters, as the driver wants it."""

    @abstractmethod
    def select(self, sql: str, parameters: Sequence[int | str]) -> Sequence[Sequence[Any]]:
        """The rows of a query.

        Raises:
            EncoderUnavailable: not for now. EncoderMisconfigured: not with this query.
            EncoderError: not for these parameters.
        """


def open_database(uri: str) -> Database:
    """A database by URI: ``sqlite://FILE`` or ``postgresql://...``; passwords are not shown.

    Raises:
        InvalidInput: another URI, or no such file. MissingExtra: the driver is not installed.
    """
    scheme, _, location = uri.partition("://")
    if scheme == "sqlite":
        return Sqlite(Path(location))
    if scheme in ("postgresql", "postgres"):
        return Postgres(uri)
    raise InvalidInput(
        "sql: wanted sqlite://FILE or postgresql://HOST/DATABASE, and the query last: "
        "sql:sqlite://docs.db?query=SELECT id, body FROM docs WHERE id IN (:ids)"
    )


class Sqlite(Database):
    """An SQLite file."""

    placeholder = "?"

    def __init__(self, file: Path) -> None:
        if not file.is_file():
            raise InvalidInput(f"sql: there is no SQLite file {file}")
        self._file = file
        uri = f"file:{quote(str(file.absolute()))}?mode=ro"
        self._connection = sqlite3.connect(
            uri, uri=True, check_same_thread=False, timeout=_BUSY_SECONDS
        )
        weakref.finalize(self, self._connection.close)

    def escaped(self, sql: str) -> str:
        """SQLite wants it as it is."""
        return sql

    def select(self, sql: str, parameters: Sequence[int | str]) -> Sequence[Sequence[Any]]:
        """The rows of a query."""
        try:
            return self._connection.execute(sql, tuple(parameters)).fetchall()
        except (sqlite3.Error, OverflowError) as error:
            text = f"{self._file}: {error}"
            if str(getattr(error, "sqlite_errorname", "")).startswith(_BUSY):
                raise EncoderUnavailable(text) from error
            raise EncoderMisconfigured(f"{text}; check the query") from error


class Postgres(Database):
    """A PostgreSQL database, connected when first asked and again after a break."""

    placeholder = "%s"

    def __init__(self, uri: str) -> None:
        self._uri = uri
        self._driver = _psycopg()
        self._connection: Any = None
        try:
            parts = urlsplit(uri)
            _ = parts.port  # parsed when looked at
            self._secrets = [
                text for text in (parts.password, unquote(parts.password or "")) if text
            ]
            self._shown = f"postgresql://{parts.hostname or ''}{parts.path}"
            self._driver.conninfo.conninfo_to_dict(uri)
        except (ValueError, self._driver.Error):
            # What is wrong with it may be the password, so neither is told.
            raise InvalidInput("sql: the PostgreSQL URI can't be parsed") from None

    def escaped(self, sql: str) -> str:
        """The driver formats with ``%s``, so ``LIKE 'a%'`` needs its sign doubled."""
        return sql.replace("%", "%%")

    def select(self, sql: str, parameters: Sequence[int | str]) -> Sequence[Sequence[Any]]:
        """The rows of a query, in a read-only transaction."""
        driver = self._driver
        try:
            connection = self._connected()
            with connection.transaction(), connection.cursor() as cursor:
                rows: list[Sequence[Any]] = cursor.execute(sql, list(parameters)).fetchall()
                return rows
        except (driver.OperationalError, driver.InterfaceError) as error:
            self._disconnect()
            raise EncoderUnavailable(self._words(error)) from error
        except driver.DataError as error:
            raise EncoderError(self._words(error)) from error
        except driver.Error as error:
            raise EncoderMisconfigured(
                f"{self._words(error)}; check the query, and that ids are of the column's type"
            ) from error

    def _connected(self) -> Any:
        if self._connection is None or self._connection.closed:
            self._connection = self._driver.connect(self._uri, connect_timeout=_CONNECT_SECONDS)
            self._connection.read_only = True
            weakref.finalize(self, self._connection.close)
        return self._connection

    def _disconnect(self) -> None:
        if self._connection is not None:
            with suppress(self._driver.Error):
                self._connection.close()
            self._connection = None

    def _words(self, error: Exception) -> str:
        text = f"{self._shown}: {' '.join(str(error).split())}"
        for secret in self._secrets:
            text = text.replace(secret, "***")
        return text


def _psycopg() -> Any:
    try:
        import psycopg
        import psycopg.conninfo
    except ImportError as error:
        raise MissingExtra("reading items from PostgreSQL", "sql") from error
    return psycopg
