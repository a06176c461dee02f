"""Relevance judgements in the TREC form: ``query_id 0 gallery_id relevance`` a line."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

from crossfade.errors import DataFileError

__all__ = ["Qrels"]


@dataclass(frozen=True)
class Qrels:
    """Which gallery items are relevant to which query, and how much.

    Attributes:
        relevance: query id -> gallery id -> grade (above 0 is relevant). Ids are text here,
            as in the file; they are matched with ``str(id)``.
    """

    relevance: Mapping[str, Mapping[str, int]]

    @classmethod
    def load(cls, path: str | Path) -> Qrels:
        """Read a TREC qrels file.

        Raises:
            DataFileError: missing, empty, not text, or a line of another form.
        """
        try:
            text = Path(path).read_text(encoding="utf-8")
        except (OSError, UnicodeDecodeError) as error:
            raise DataFileError(f"{path} can't be read as qrels: {error}") from error
        relevance: dict[str, dict[str, int]] = {}
        for number, line in enumerate(text.splitlines(), start=1):
            if line.strip():
                query, item, grade = _parse(line, f"{path}, line {number}")
                relevance.setdefault(query, {})[item] = grade
        if not relevance:
            raise DataFileError(f"{path} holds no judgements; wanted 'query_id 0 gallery_id 1'")
        return cls(relevance)


def _parse(line: str, where: str) -> tuple[str, str, int]:
    fields = line.split()
    try:
        query, _, item, grade = fields
        return query, item, int(grade)
    except ValueError as error:
        raise DataFileError(
            f"{where}: got {line.strip()[:80]!r}, wanted 'query_id 0 gallery_id relevance'"
        ) from error
