"""The demo's output folder."""

from pathlib import Path

import pytest

from crossfade.demo.folder import claim_folder
from crossfade.errors import OutputError


def test_a_new_folder_is_made_with_its_parents(tmp_path: Path) -> None:
    with claim_folder(tmp_path / "a" / "b") as folder:
        assert folder.root.is_dir()
        assert not folder.gallery.exists()


def test_what_an_earlier_run_left_is_removed(tmp_path: Path) -> None:
    with claim_folder(tmp_path / "demo") as folder:
        folder.gallery.mkdir()
        (folder.gallery / "old").write_text("x")
    with claim_folder(tmp_path / "demo") as folder:
        assert not folder.gallery.exists()


def test_a_folder_that_holds_something_else_is_left_alone(tmp_path: Path) -> None:
    thesis = tmp_path / "report" / "thesis.txt"
    thesis.parent.mkdir()
    thesis.write_text("years of work")
    with pytest.raises(OutputError, match="no earlier demo"), claim_folder(tmp_path):
        pass
    assert thesis.read_text() == "years of work"


def test_a_file_in_the_place_of_the_folder_is_refused(tmp_path: Path) -> None:
    place = tmp_path / "file"
    place.write_text("x")
    with pytest.raises(OutputError, match="is a file"), claim_folder(place):
        pass


def test_a_second_demo_in_the_folder_is_refused_and_harms_nothing(tmp_path: Path) -> None:
    with claim_folder(tmp_path / "demo") as folder:
        folder.gallery.mkdir()
        with (
            pytest.raises(OutputError, match="another demo is running"),
            claim_folder(tmp_path / "demo"),
        ):
            pass
        assert folder.gallery.exists()


def test_a_folder_that_cannot_be_made_is_an_output_error() -> None:
    with pytest.raises(OutputError, match="can't write"), claim_folder(Path("/proc/none/demo")):
        pass
