"""Texts in place of a log of queries: sentences that nobody asked."""

from __future__ import annotations

import re
from collections.abc import Sequence

import numpy as np

from crossfade.errors import InvalidInput

__all__ = ["stand_in_queries"]

_SENTENCE_END = re.compile(r"(?<=[.!?;])\s+|(?<=[。！？；])")
_LONGEST_UNSPACED = 60
"""Characters of a word; a longer one is a sentence of a script without spaces."""


def stand_in_queries(
    texts: Sequence[str], n: int = 2_000, *, words: int = 14, seed: int = 0
) -> list[str]:
    """The first sentences of some texts, cut to the length of queries, each once.

    Embedded by both models they are a :class:`QueryLog` for :func:`crossfade.fit` where no real
    queries were kept: they tell which items are near to any text, and what the new model finds
    for such texts. They need not ask for anything, but should look like what is asked: documents
    that are sentences serve themselves; where documents are mere names and queries are not, take
    other texts (``docs/experiments.md``, "Texts in place of a log"). Where a sentence ends is told
    by its points alone, so that some end at an abbreviation.

    Args:
        texts: documents of the gallery, or others.
        n: how many at most, drawn at random from the texts.
        words: the most of each.

    Raises:
        InvalidInput: one text in place of several, numbers below 1, or no text has a word.
    """
    if isinstance(texts, str):
        raise InvalidInput("texts is one str, wanted a sequence of them")
    for name, number in (("n", n), ("words", words)):
        if isinstance(number, bool) or not isinstance(number, int) or number < 1:
            raise InvalidInput(f"{name} is {number!r}, wanted a whole number from 1")
    found: dict[str, None] = {}
    for row in np.random.default_rng(seed).permutation(len(texts)):
        sentence = _first_sentence(texts[row], words)
        if any(character.isalnum() for character in sentence):
            found.setdefault(sentence)
        if len(found) == n:
            break
    if not found:
        raise InvalidInput(f"none of {len(texts):,} texts has a word; wanted documents")
    return list(found)


def _first_sentence(text: str, words: int) -> str:
    first = _SENTENCE_END.split(text.strip(), maxsplit=1)[0].split()[:words]
    return " ".join(word[:_LONGEST_UNSPACED] for word in first)
