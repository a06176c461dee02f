"""Two text corpora out of Debian packages, each a search task with one right answer a query.

WordNet nouns: a reverse dictionary. The query is a gloss, the document the words of its
synset. Debian descriptions: the query is a package's one-line synopsis, the document its long
description. A document text occurs once: of repeated ones the first is kept.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Iterator
from dataclasses import dataclass

from benchmarks.data.packages import debian_package, debian_translations

__all__ = ["Entry", "debian_descriptions", "wordnet_nouns"]

_DOCUMENT_CHARACTERS = 1_000
_MIN_DOCUMENT_CHARACTERS = 40


@dataclass(frozen=True)
class Entry:
    """A document and the query that it answers."""

    query: str
    document: str


def wordnet_nouns() -> list[Entry]:
    """All noun synsets; glosses without their example sentences."""
    path = debian_package("wordnet-base") / "usr/share/wordnet/data.noun"
    lines = path.read_text(encoding="utf-8").splitlines()
    return _unique(_synset(line) for line in lines if not line.startswith("  "))


def debian_descriptions() -> list[Entry]:
    """All packages of the release whose long description says something."""
    text = debian_translations().read_text(encoding="utf-8")
    return _unique(_descriptions(text))


def _synset(line: str) -> Entry:
    data, _, gloss = line.partition(" | ")
    fields = data.split()
    words = fields[4 : 4 + 2 * int(fields[3], base=16) : 2]
    definition = re.split(r'; ?"', gloss.strip())[0]
    return Entry(definition, ", ".join(word.replace("_", " ") for word in words))


def _descriptions(text: str) -> Iterator[Entry]:
    for paragraph in text.split("\n\n"):
        head, found, body = paragraph.partition("Description-en: ")
        synopsis, _, long = body.partition("\n")
        lines = ("" if line.strip() == "." else line.strip() for line in long.split("\n"))
        document = " ".join(" ".join(lines).split())[:_DOCUMENT_CHARACTERS]
        if head and found and len(document) >= _MIN_DOCUMENT_CHARACTERS:
            yield Entry(synopsis.strip(), document)


def _unique(entries: Iterable[Entry]) -> list[Entry]:
    first: dict[str, Entry] = {}
    for entry in entries:
        first.setdefault(entry.document, entry)
    return list(first.values())
