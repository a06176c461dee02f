"""TREC judgements are read exactly, and every other line is refused by its number."""

from __future__ import annotations

from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from crossfade import Qrels
from crossfade.errors import DataFileError

NAMES = st.text(
    st.characters(exclude_categories=["Cc", "Cf", "Zs", "Zl", "Zp", "Cs"]), min_size=1, max_size=5
)
JUDGED = st.dictionaries(
    NAMES, st.dictionaries(NAMES, st.integers(-2, 4), min_size=1, max_size=4), min_size=1
)


def write(folder: Path, text: str | bytes) -> Path:
    path = folder / "qrels.txt"
    path.write_bytes(text if isinstance(text, bytes) else text.encode())
    return path


def test_judgements_are_read_by_query_and_item(tmp_path: Path) -> None:
    path = write(tmp_path, "q1 0 d1 1\nq1 Q0 d2 0\n\n  q2\t0\td1   3  \r\n")
    assert Qrels.load(path).relevance == {"q1": {"d1": 1, "d2": 0}, "q2": {"d1": 3}}


@given(JUDGED)
def test_what_is_written_is_read(
    tmp_path_factory: pytest.TempPathFactory, judged: dict[str, dict[str, int]]
) -> None:
    lines = [f"{q} 0 {i} {grade}" for q, items in judged.items() for i, grade in items.items()]
    path = write(tmp_path_factory.mktemp("qrels"), "\n".join(lines))
    assert Qrels.load(path).relevance == judged


def test_beirs_form_is_read_too(tmp_path: Path) -> None:
    path = write(tmp_path, "query-id\tcorpus-id\tscore\nq1\td1\t2\nq1\td2\t0\n")
    assert Qrels.load(path).relevance == {"q1": {"d1": 2, "d2": 0}}


@pytest.mark.parametrize("line", ["q1 0 d1", "q1 0 d1 yes", "q1 0 d1 1 extra", "q1,0,d1,1"])
def test_another_form_is_refused_with_its_line(tmp_path: Path, line: str) -> None:
    with pytest.raises(DataFileError, match=r"line 2: got .*wanted 'query_id 0 gallery_id"):
        Qrels.load(write(tmp_path, f"q0 0 d0 1\n{line}\n"))


def test_whole_grades_are_read_as_whatever_numbers_they_are_written(tmp_path: Path) -> None:
    path = write(tmp_path, "q1 0 d1 1.0\nq1 0 d2 2.\nq1 0 d3 -0.0\nq1\td4\t3e0\nq1 0 d1 1\n")
    assert Qrels.load(path).relevance == {"q1": {"d1": 1, "d2": 2, "d3": 0, "d4": 3}}
    assert all(type(grade) is int for grade in Qrels.load(path).relevance["q1"].values())


@pytest.mark.parametrize("grade", ["1.5", "nan", "inf", "-0.1"])
def test_a_grade_between_whole_numbers_is_refused(tmp_path: Path, grade: str) -> None:
    with pytest.raises(DataFileError, match=f"line 1: relevance is {grade}, wanted a whole number"):
        Qrels.load(write(tmp_path, f"q1 0 d1 {grade}\n"))


def test_two_judgements_that_contradict_each_other_are_refused(tmp_path: Path) -> None:
    path = write(tmp_path, "q1 0 d1 1\nq2 0 d1 1\nq1 0 d1 0\n")
    with pytest.raises(DataFileError, match="line 3: q1 and d1 were judged 1 before, 0 here"):
        Qrels.load(path)


def test_a_byte_order_mark_is_no_part_of_the_first_id(tmp_path: Path) -> None:
    path = write(tmp_path, "q 0 d 1".encode("utf-8-sig"))
    assert Qrels.load(path).relevance == {"q": {"d": 1}}


def test_a_judgement_that_is_there_twice_counts_once(tmp_path: Path) -> None:
    assert Qrels.load(write(tmp_path, "q 0 d 1\nq 0 d 1\n")).relevance == {"q": {"d": 1}}


@pytest.mark.parametrize("text", ["", "\n \n", b"\xff\xfe\x00q"])
def test_empty_and_binary_files_are_refused(tmp_path: Path, text: str | bytes) -> None:
    with pytest.raises(DataFileError, match="qrels"):
        Qrels.load(write(tmp_path, text))


def test_a_missing_file_and_a_folder_are_refused(tmp_path: Path) -> None:
    for path in (tmp_path / "none.txt", tmp_path):
        with pytest.raises(DataFileError, match="can't be read as qrels"):
            Qrels.load(path)
