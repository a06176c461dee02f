"""Ignored items as a file."""

from __future__ import annotations

from pathlib import Path

import pytest

from crossfade.embeddings import IgnoredItems
from crossfade.errors import DataFileError


def test_lines_name_a_query_and_an_item(tmp_path: Path) -> None:
    path = tmp_path / "ignored.txt"
    path.write_text("q1 7\n\nq1 8\nq2 7\nq1 8\n")
    ignored = IgnoredItems.load(path)
    assert ignored.items == {"q1": {"7", "8"}, "q2": {"7"}}
    assert ignored.lines() == ["q1 7", "q1 8", "q2 7"]


def test_a_file_without_lines_ignores_nothing(tmp_path: Path) -> None:
    (tmp_path / "ignored.txt").write_text("")
    assert IgnoredItems.load(tmp_path / "ignored.txt").items == {}


def test_another_form_is_refused_with_its_line(tmp_path: Path) -> None:
    (tmp_path / "ignored.txt").write_text("q1 7\nq1 0 7 1\n")
    with pytest.raises(DataFileError, match=r"line 2: got 'q1 0 7 1', wanted 'query_id gallery_id"):
        IgnoredItems.load(tmp_path / "ignored.txt")


def test_a_missing_file_is_refused(tmp_path: Path) -> None:
    with pytest.raises(DataFileError, match="can't be read"):
        IgnoredItems.load(tmp_path / "none.txt")
