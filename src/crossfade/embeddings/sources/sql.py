"""``sql:URI?query=SELECT ...``: the content is what a query gives.

The query selects two columns, the id and the content, of the rows ``IN (:ids)``. Ids are
always parameters: ``:ids`` becomes as many placeholders as there are ids, never their text.
Connections are read-only.
"""

from __future__ import annotations

import re
import threading
from collections.abc import Iterator, Mapping, Sequence
from typing import Any

from crossfade.embeddings.sources.base import Missing
from crossfade.embeddings.sources.databases import Database, open_database
from crossfade.embeddings.spec import Spec
from crossfade.errors import EncoderMisconfigured, InvalidInput

__all__ = ["SqlSource", "split_query", "sql_source"]

_IDS = re.compile(r"\(\s*:ids\s*\)")
_QUERY = re.compile(r"[?&]query=")
_IDS_AT_ONCE = 500


class SqlSource:
    """Contents from a database.

    Args:
        query: ``SELECT id, content FROM ... WHERE id IN (:ids)``.
    """

    def __init__(self, database: Database, query: str) -> None:
        if len(_IDS.findall(query)) != 1:
            raise InvalidInput(
                "sql: the query must have the ids once as a parameter, e.g. "
                "SELECT id, body FROM docs WHERE id IN (:ids)"
            )
        self._database = database
        self._query = query
        self._lock = threading.Lock()

    def __call__(
        self, ids: Sequence[int | str], payloads: Sequence[Mapping[str, Any]], /
    ) -> list[Any]:
        del payloads
        rows: dict[int | str, list[Any]] = {id: [] for id in ids}
        with self._lock:
            for start in range(0, len(ids), _IDS_AT_ONCE):
                for id, content in self._select(ids[start : start + _IDS_AT_ONCE]):
                    rows.get(id, []).append(content)
        return [_content(id, rows[id]) for id in ids]

    def _select(self, ids: Sequence[int | str]) -> Iterator[tuple[int | str, Any]]:
        places = ", ".join([self._database.placeholder] * len(ids))
        # Halves, not a substitution: what stands around the ids is escaped for the driver.
        before, after = map(self._database.escaped, _IDS.split(self._query))
        for row in self._database.select(f"{before}({places}){after}", ids):
            if len(row) != 2:
                raise EncoderMisconfigured(
                    f"the query gives {len(row)} columns, wanted two: the id and the content"
                )
            id = row[0] if isinstance(row[0], (int, str)) else str(row[0])
            yield id, bytes(row[1]) if isinstance(row[1], memoryview) else row[1]


def sql_source(spec: Spec) -> SqlSource:
    """``sql:sqlite://FILE?query=...`` and ``sql:postgresql://HOST/DB?query=...``.

    The query is the last option and is taken as it stands.
    """
    query = spec.text("query")
    spec.allow("query")
    return SqlSource(open_database(spec.target), query)


def split_query(text: str) -> Spec:
    """Take a spec with a query apart; neither the URI nor the query is decoded."""
    kind, _, rest = text.partition(":")
    parts = _QUERY.split(rest, maxsplit=1)
    return Spec(kind, parts[0], {"query": parts[1]} if len(parts) == 2 else {})


def _content(id: int | str, found: list[Any]) -> Any:
    if len(found) != 1:
        rows = f"{len(found)} rows" if found else "no row"
        return Missing(f"the query gives {rows} for id {id!r}")
    return Missing(f"the query gives null for id {id!r}") if found[0] is None else found[0]
