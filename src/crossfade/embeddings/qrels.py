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
        """Read a TREC qrels file, or one of BEIR: ``query-id``, ``corpus-id``, ``score``, between
        tabs, under a line of their names.

        Raises:
            DataFileError: missing, empty, not text, a line of another form, or one pair judged
                twice and differently.
        """
        try:
            # Some editors begin a file with a mark that is no part of the first id.
            text = Path(path).read_text(encoding="utf-8-sig")
        except UnicodeDecodeError as error:
            raise DataFileError(
                f"{path} is not text, wanted lines 'query_id 0 gallery_id 1': {error}"
            ) from error
        except OSError as error:
            raise DataFileError(f"{path} can't be read as qrels: {error}") from error
        relevance: dict[str, dict[str, int]] = {}
        for number, line in enumerate(text.splitlines(), start=1):
            if line.strip() and not (number == 1 and line.split() == _BEIR_NAMES):
                where = f"{path}, line {number}"
                query, item, grade = _parse(line, where)
                before = relevance.setdefault(query, {}).setdefault(item, grade)
                if before != grade:
                    raise DataFileError(
                        f"{where}: {query} and {item} were judged {before} before, {grade} here"
                    )
        if not relevance:
            raise DataFileError(f"{path} holds no judgements; wanted 'query_id 0 gallery_id 1'")
        return cls(relevance)


_BEIR_NAMES = ["query-id", "corpus-id", "score"]


def _parse(line: str, where: str) -> tuple[str, str, int]:
    fields = line.split()
    if len(fields) == 3 and line.strip().count("\t") == 2:  # BEIR's
        fields.insert(1, "0")
    try:
        query, _, item, text = fields
        grade = float(text)
    except ValueError as error:
        raise DataFileError(
            f"{where}: got {line.strip()[:80]!r}, wanted 'query_id 0 gallery_id relevance', or "
            "'query_id<tab>gallery_id<tab>relevance'; relevance is a whole number"
        ) from error
    if not grade.is_integer():
        raise DataFileError(
            f"{where}: relevance is {text}, wanted a whole number: 0 is irrelevant, and 2 counts "
            "twice as much as 1 in nDCG; scale the grades, or round them"
        )
    return query, item, int(grade)
