"""The workers of a job in PostgreSQL: who joined, who is dead. Used within a transaction."""

from __future__ import annotations

from typing import Any

from crossfade.backfill.journal.base import CLOCK_SLACK_SECONDS, locked_by
from crossfade.backfill.journal.postgres_tables import LEASED, NOW, PENDING, Tables
from crossfade.stores.pgvector.connections import Connection

__all__ = ["Workers"]


class Workers:
    """The table of those who joined."""

    def __init__(self, tables: Tables) -> None:
        self._tables = tables

    def join(self, connection: Connection, worker: str, seconds: float) -> int:
        """Become one, beside any others; returns its number.

        Raises:
            JobLocked: one is there that must be alone.
        """
        self.bury_the_dead(connection)
        alone = "SELECT name FROM {workers} WHERE alone AND name <> %s LIMIT 1"
        if (other := self._tables.execute(connection, alone, worker).fetchone()) is not None:
            raise locked_by(other[0])
        return self.renew(connection, worker, seconds, alone=False)

    def renew(self, connection: Connection, worker: str, seconds: float, *, alone: bool) -> int:
        """Be alive for so many seconds from now; returns the worker's number."""
        found = self._tables.execute(
            connection,
            "INSERT INTO {workers} (name, alone, renewed, until) "
            f"VALUES (%s, %s, {NOW}, {NOW} + %s) ON CONFLICT (name) DO UPDATE SET "
            "alone = excluded.alone, renewed = excluded.renewed, until = excluded.until "
            "RETURNING number",
            *(worker, alone, seconds),
        )
        return int(found.fetchall()[0][0])

    def bury_the_dead(self, connection: Connection) -> None:
        """Forget those whose time is over."""
        dead = f"until < {NOW} OR renewed > {NOW} + %s"
        self.bury(connection, dead, CLOCK_SLACK_SECONDS)

    def bury(self, connection: Connection, which: str, *given: Any) -> None:
        """Forget workers, and give back what they held."""
        statement = f"DELETE FROM {{workers}} WHERE {which} RETURNING number"
        numbers = [number for (number,) in self._tables.execute(connection, statement, *given)]
        if numbers:
            self._tables.execute(
                connection,
                f"UPDATE {{queue}} SET state = {PENDING}, worker = NULL "
                f"WHERE state = {LEASED} AND worker = ANY(%s)",
                numbers,
            )
            swept = "UPDATE {job} SET sweeper = NULL WHERE sweeper = ANY(%s)"
            self._tables.execute(connection, swept, numbers)
