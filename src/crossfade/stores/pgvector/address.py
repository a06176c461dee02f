"""Where a collection is: server, database, table. It never shows its credentials."""

from __future__ import annotations

from collections.abc import Collection, Mapping
from contextlib import suppress
from dataclasses import dataclass, field
from urllib.parse import parse_qsl, quote, urlencode

import psycopg
from psycopg.conninfo import conninfo_to_dict

from crossfade.errors import InvalidInput

__all__ = ["Address", "check_name"]

_OURS: Collection[str] = {"table", "schema", "id", "old", "space"}
_LONGEST_NAME = 63
_FORM = "postgresql://HOST:PORT/DATABASE?table=NAME, where need be USER:PASSWORD@ before HOST"


@dataclass(frozen=True)
class Address:
    """A table on a server.

    Attributes:
        connection: the driver's parameters, with the password if there is one.
        id, old: columns of a table of the user's own; None for one of ours.
        space: the name of the space of ``old``, and dim: its width, as far as known.
    """

    connection: Mapping[str, str] = field(repr=False)
    schema: str
    table: str
    id: str | None = None
    old: str | None = None
    space: str | None = None
    dim: int | None = None

    @classmethod
    def parse(cls, location: str, *, id: str | None = None, old: str | None = None) -> Address:
        """From what follows ``postgresql://``.

        Args:
            id, old: the columns, where they are not in the URI.

        Raises:
            InvalidInput: of another form.
        """
        server, _, query = location.partition("?")
        try:
            given = parse_qsl(query, keep_blank_values=True, strict_parsing=bool(query))
        except ValueError:
            raise InvalidInput(f"the parameters behind '?' can't be read; wanted {_FORM}") from None
        ours = {key: value for key, value in given if key in _OURS}
        ours |= {key: value for key, value in (("id", id), ("old", old)) if value is not None}
        if not ours.get("table"):
            raise InvalidInput(f"a postgresql:// URI names a table; wanted {_FORM}")
        if bool(ours.get("id")) != bool(ours.get("old")):
            raise InvalidInput("a table of your own needs both: id=COLUMN and old=COLUMN")
        for key, value in ours.items():
            check_name(value, key)
        if "%" in ours["table"] + ours.get("schema", ""):
            raise InvalidInput("names of tables and schemas with a percent sign are not supported")
        kept = [(key, value) for key, value in given if key not in _OURS]
        # The server's library knows %20, and takes a plus sign for itself.
        theirs = urlencode(kept, quote_via=quote)
        return cls(
            _connection(f"postgresql://{server}{theirs and '?'}{theirs}"),
            schema=ours.get("schema") or "public",
            table=ours["table"],
            id=ours.get("id"),
            old=ours.get("old"),
            space=ours.get("space"),
        )

    @property
    def database(self) -> str:
        """The server and database, for messages."""
        host = self.connection.get("host") or self.connection.get("hostaddr") or "local"
        port = self.connection.get("port", "5432")
        return f"postgresql://{host}:{port}/{self.connection.get('dbname', '')}"

    def __str__(self) -> str:
        schema = "" if self.schema == "public" else f"&schema={self.schema}"
        return f"{self.database}?table={self.table}{schema}"


def _connection(uri: str) -> dict[str, str]:
    """The driver's parameters. Its own message may hold the password, so it is left out."""
    with suppress(psycopg.Error):
        given = {key: str(value) for key, value in conninfo_to_dict(uri).items()}
        # A password with a bare @ or / would run over into these, which messages show.
        shown = given.get("host", "") + given.get("dbname", "")
        if "@" not in shown and all(
            port.isdecimal() or not port for port in given.get("port", "").split(",")
        ):
            return given
    raise InvalidInput(
        f"the server's part of the URI can't be read; wanted {_FORM}, with special characters "
        "of user and password as %XX"
    )


def check_name(name: str, what: str) -> None:
    """Raise InvalidInput unless PostgreSQL takes ``name`` whole."""
    size = len(name.encode("utf-8", "replace"))
    if not name or "\0" in name or size > _LONGEST_NAME:
        raise InvalidInput(
            f"{what}={name!r} is no name of a table or column: 1 to {_LONGEST_NAME} bytes, no NUL"
        )
