"""One transaction of a store, and what it knows of its table.

Every transaction begins by locking the table against changes of its columns and reading which
there are. So no write of one process can leave a vector behind in a column that another has
added meanwhile, and no search meets a column that is being dropped.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field

from crossfade.embeddings import Space
from crossfade.stores.pgvector.catalog import VectorColumn
from crossfade.stores.pgvector.connections import Connection

__all__ = ["Session"]


@dataclass(frozen=True)
class Session:
    """A transaction under way.

    Attributes:
        columns: where the vectors of each space are, by the space's name.
        fields: of a table of the user's own, the columns that are its payload.
    """

    connection: Connection
    columns: Mapping[str, VectorColumn]
    fields: Sequence[str] = field(default=())

    @property
    def spaces(self) -> dict[str, Space]:
        """The spaces by name."""
        return {name: column.space for name, column in self.columns.items()}
