"""Sentences in place of queries."""

from collections.abc import Sequence
from typing import Any

import pytest

from crossfade.embeddings import stand_in_queries
from crossfade.errors import InvalidInput


def test_they_are_first_sentences_of_the_length_of_queries() -> None:
    texts = ["One two three four five six. Seven eight.", "Is it so?  It is.", "no end"]
    assert set(stand_in_queries(texts, words=4)) == {"One two three four", "Is it so?", "no end"}


def test_scripts_without_spaces_have_sentences_too() -> None:
    assert stand_in_queries(["今日は晴れです。明日は雨です。"]) == ["今日は晴れです。"]
    assert len(stand_in_queries(["文" * 500])[0]) < 100


def test_some_are_drawn_each_once_and_the_same_each_time() -> None:
    texts = [f"Text number {row % 50}. More of it." for row in range(200)]
    drawn = stand_in_queries(texts, 20)
    assert len(drawn) == len(set(drawn)) == 20
    assert drawn == stand_in_queries(texts, 20) != stand_in_queries(texts, 20, seed=1)
    assert len(stand_in_queries(texts, 100)) == 50, "as many as there are"


def test_texts_without_words_are_passed_over() -> None:
    assert set(stand_in_queries(["", " \n", "...", "!!! -- ?", "Words.", "3."])) == {"Words.", "3."}


@pytest.mark.parametrize(
    ("texts", "settings", "words"),
    [
        ([], {}, "none of 0 texts"),
        (["...", "--"], {}, "none of 2 texts"),
        ("one text", {}, "texts is one str"),
        (["Words."], {"n": 1.5}, "n is 1.5"),
        (["Words."], {"n": True}, "n is True"),
        (["", " "], {}, "none of 2 texts"),
        (["Words."], {"n": 0}, "n is 0"),
        (["Words."], {"words": 0}, "words is 0"),
    ],
)
def test_what_can_not_be_done_is_refused(
    texts: Sequence[str], settings: dict[str, Any], words: str
) -> None:
    with pytest.raises(InvalidInput, match=words):
        stand_in_queries(texts, **settings)
