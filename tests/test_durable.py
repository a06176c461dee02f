"""Whatever interrupts a write, the previous version is there whole, and nothing else."""

from __future__ import annotations

import os
import subprocess
import sys
import textwrap
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from crossfade import durable
from crossfade.durable import check_folder, replace_file, replace_folder
from crossfade.errors import OutputError, StoreUnavailable

MARKER = "ours.txt"
Save = Callable[[Path], None]


def fill(folder: Path, text: str = "new") -> None:
    (folder / MARKER).write_text(text)
    (folder / "part").mkdir()
    (folder / "part" / "data").write_text(text)


def save_folder(path: Path, text: str = "new") -> None:
    with replace_folder(path, marker=MARKER) as folder:
        fill(folder, text)


def save_file(path: Path, text: str = "new") -> None:
    with replace_file(path) as temporary:
        temporary.write_text(text)


def names(folder: Path) -> list[str]:
    return sorted(str(path.relative_to(folder)) for path in folder.rglob("*"))


@pytest.fixture(params=["one step", "two steps"])
def swapping(request: pytest.FixtureRequest, monkeypatch: pytest.MonkeyPatch) -> Iterator[None]:
    """Systems that can swap two folders in one step, and others."""
    if request.param == "two steps":
        monkeypatch.setattr(durable, "_swap", lambda *_: False)
    elif not hasattr(durable.ctypes.CDLL(None), "renameat2"):
        pytest.skip("this system can't swap two folders")
    return


def test_a_file_is_written_and_replaced_and_nothing_is_left(tmp_path: Path) -> None:
    path = tmp_path / "a" / "b" / "file.txt"
    save_file(path, "one")
    save_file(path, "two")
    assert path.read_text() == "two"
    assert names(tmp_path) == ["a", "a/b", "a/b/file.txt"]


@pytest.mark.usefixtures("swapping")
def test_a_folder_is_written_and_replaced_and_nothing_is_left(tmp_path: Path) -> None:
    path = tmp_path / "a" / "ours"
    save_folder(path, "one")
    with replace_folder(path, marker=MARKER) as folder:
        (folder / MARKER).write_text("two")
    assert (path / MARKER).read_text() == "two"
    assert names(tmp_path) == ["a", "a/ours", f"a/ours/{MARKER}"]


def test_the_place_of_a_new_folder_may_be_an_empty_one(tmp_path: Path) -> None:
    save_folder(tmp_path)
    assert names(tmp_path) == [MARKER, "part", "part/data"]


@pytest.mark.parametrize("error", [RuntimeError("mine"), KeyboardInterrupt(), OSError(28, "full")])
@pytest.mark.parametrize("before", [None, "old"])
def test_an_exception_leaves_the_previous_version(
    tmp_path: Path, error: BaseException, before: str | None
) -> None:
    saves: list[tuple[Path, Callable[[Path, str], None]]] = [
        (tmp_path / "file.txt", save_file),
        (tmp_path / "ours", save_folder),
    ]
    if before:
        for path, save in saves:
            save(path, before)
    held = names(tmp_path)
    wanted = OutputError if isinstance(error, OSError) else type(error)
    with pytest.raises(wanted), replace_file(tmp_path / "file.txt") as temporary:
        temporary.write_text("half")
        raise error
    with pytest.raises(wanted), replace_folder(tmp_path / "ours", marker=MARKER) as folder:
        fill(folder, "half")
        raise error
    assert names(tmp_path) == held
    if before:
        assert (tmp_path / "file.txt").read_text() == before
        assert (tmp_path / "ours" / "part" / "data").read_text() == before


def test_folders_made_for_a_write_that_fails_are_taken_away(tmp_path: Path) -> None:
    with pytest.raises(RuntimeError), replace_file(tmp_path / "a" / "b" / "file.txt"):
        raise RuntimeError
    with pytest.raises(RuntimeError), replace_folder(tmp_path / "a" / "ours", marker=MARKER):
        raise RuntimeError
    assert names(tmp_path) == []


def test_a_body_that_writes_nothing_is_an_error(tmp_path: Path) -> None:
    with pytest.raises(OutputError, match="No such file"), replace_file(tmp_path / "file.txt"):
        pass
    assert names(tmp_path) == []


def test_an_error_of_our_own_passes_unchanged(tmp_path: Path) -> None:
    # It is a ConnectionError, and so an OSError, but says nothing about the output.
    with pytest.raises(StoreUnavailable), replace_file(tmp_path / "file.txt"):
        raise StoreUnavailable("away")


@pytest.mark.usefixtures("swapping")
def test_a_rename_that_fails_leaves_the_previous_folder(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    save_folder(tmp_path / "ours", "old")
    rename = Path.replace

    def fails(self: Path, target: Path) -> Path:
        if target.name == "ours" and (self / MARKER).read_text() == "new":
            raise OSError(5, "Input/output error")
        return rename(self, target)

    monkeypatch.setattr(durable, "_swap", lambda *_: False)
    monkeypatch.setattr(Path, "replace", fails)
    with pytest.raises(OutputError, match="Input/output error"):
        save_folder(tmp_path / "ours", "new")
    assert (tmp_path / "ours" / MARKER).read_text() == "old"
    assert names(tmp_path) == ["ours", f"ours/{MARKER}", "ours/part", "ours/part/data"]


KILLED = """
    import os, sys
    from pathlib import Path
    from crossfade import durable

    calls = 0
    def counted(name, module):
        real = getattr(module, name)
        def call(*args, **kwargs):
            global calls
            calls += 1
            if calls > int(sys.argv[2]):
                os.kill(os.getpid(), 9)
            return real(*args, **kwargs)
        setattr(module, name, call)

    counted("fsync", os)
    counted("replace", Path)
    counted("_swap", durable)
    counted("rmtree", durable.shutil)
    with durable.replace_folder(Path(sys.argv[1]), marker="ours.txt") as folder:
        for name in ("ours.txt", "data"):
            (folder / name).write_text("new")
    print("done")
"""


def test_a_process_killed_at_any_step_leaves_one_whole_version(tmp_path: Path) -> None:
    seen = []
    for step in range(20):
        path = tmp_path / str(step) / "ours"
        with replace_folder(path, marker=MARKER) as folder:
            for name in (MARKER, "data"):
                (folder / name).write_text("old")
        run = subprocess.run(
            [sys.executable, "-c", textwrap.dedent(KILLED), str(path), str(step)],
            capture_output=True,
            text=True,
            check=False,
        )
        texts = {(path / name).read_text() for name in (MARKER, "data")}
        assert len(texts) == 1
        seen.append(texts.pop())
        save_folder(path, "next")
        assert (path / MARKER).read_text() == "next"
        if run.stdout == "done\n":
            break
        assert run.returncode == -9
    assert run.stdout == "done\n"
    assert seen == sorted(seen, reverse=True)
    assert {"old", "new"} == set(seen)


FULL_DISK = """
    import resource, sys
    from pathlib import Path
    import numpy as np
    import crossfade
    from crossfade.errors import OutputError

    rows = np.random.default_rng(0).normal(size=(500, 8))
    pairs = crossfade.Pairs.of(range(500), rows, rows)
    upgrade = crossfade.fit(pairs, "ridge")
    save = {"pairs": pairs.save, "upgrade": upgrade.save}[sys.argv[2]]
    resource.setrlimit(resource.RLIMIT_FSIZE, (1_000, resource.RLIM_INFINITY))
    try:
        save(sys.argv[1])
    except OutputError as error:
        print(error)
"""


@pytest.mark.parametrize(
    ("what", "name"),
    [
        ("pairs", "pairs.npz"),
        ("pairs", "pairs.parquet"),
        ("pairs", "pairs"),
        ("upgrade", "upgrade"),
    ],
)
def test_a_full_disk_is_one_clear_error_and_leaves_nothing(
    tmp_path: Path, what: str, name: str
) -> None:
    path = tmp_path / "deep" / name
    run = subprocess.run(
        [sys.executable, "-W", "error", "-c", textwrap.dedent(FULL_DISK), str(path), what],
        capture_output=True,
        text=True,
        check=False,
    )
    assert run.stderr == ""
    assert run.stdout.startswith(f"can't write {path}: ")
    assert "nothing was changed" in run.stdout
    assert names(tmp_path) == []


SAVES = pytest.mark.parametrize("save", [save_file, save_folder])


@SAVES
@pytest.mark.parametrize("place", ["/proc/nothing/here", "/proc/crossfade"])
def test_a_place_that_takes_no_files_is_refused(save: Save, place: str) -> None:
    with pytest.raises(OutputError, match=f"can't write {place}: .*; nothing was changed"):
        save(Path(place))
    with pytest.raises(OutputError, match=f"can't write {place}: "):
        check_folder(Path(place), marker=MARKER)


@pytest.mark.skipif(os.geteuid() == 0, reason="root may write anywhere")
@SAVES
def test_a_read_only_folder_is_refused(tmp_path: Path, save: Save) -> None:
    tmp_path.chmod(0o500)
    with pytest.raises(OutputError, match="Permission denied"):
        save(tmp_path / "ours")


@SAVES
def test_a_place_below_a_file_is_refused(tmp_path: Path, save: Save) -> None:
    (tmp_path / "file").write_text("dear")
    for path in (tmp_path / "file" / "ours", tmp_path / "file" / "deep" / "ours"):
        with pytest.raises(OutputError, match=f"can't write {path}: Not a directory"):
            save(path)
        with pytest.raises(OutputError, match="Not a directory"):
            check_folder(path, marker=MARKER)
    assert names(tmp_path) == ["file"]


@SAVES
@pytest.mark.parametrize("length", [250, 300])
def test_a_name_that_is_too_long_is_refused(tmp_path: Path, save: Save, length: int) -> None:
    with pytest.raises(OutputError, match="name too long"):
        save(tmp_path / ("x" * length))
    assert names(tmp_path) == []


def test_a_folder_in_the_place_of_a_file_is_refused(tmp_path: Path) -> None:
    save_folder(tmp_path / "ours")
    with pytest.raises(OutputError, match="Is a directory"):
        save_file(tmp_path / "ours")
    assert (tmp_path / "ours" / MARKER).read_text() == "new"


def test_a_file_in_the_place_of_a_folder_is_refused(tmp_path: Path) -> None:
    (tmp_path / "file").write_text("dear")
    for act in (save_folder, lambda path: check_folder(path, marker=MARKER)):
        with pytest.raises(OutputError, match="it is a file; name a folder"):
            act(tmp_path / "file")
    assert (tmp_path / "file").read_text() == "dear"


def test_a_file_behind_a_folder_that_is_not_there_is_refused(tmp_path: Path) -> None:
    (tmp_path / "file").write_text("dear")
    winding = tmp_path / "nowhere" / ".." / "file"
    for act in (save_folder, lambda path: check_folder(path, marker=MARKER)):
        with pytest.raises(OutputError, match="it is a file; name a folder"):
            act(winding)
    assert (tmp_path / "file").read_text() == "dear"
    assert [entry.name for entry in tmp_path.iterdir()] == ["file"]


def test_somebody_elses_folder_is_refused(tmp_path: Path) -> None:
    (tmp_path / "theirs").mkdir()
    (tmp_path / "theirs" / "thesis.tex").write_text("dear")
    for act in (save_folder, lambda path: check_folder(path, marker=MARKER)):
        with pytest.raises(OutputError, match=f"holds other files and no {MARKER}"):
            act(tmp_path / "theirs")
    assert names(tmp_path) == ["theirs", "theirs/thesis.tex"]


def test_our_folder_with_somebody_elses_file_is_refused_where_that_is_looked_for(
    tmp_path: Path,
) -> None:
    path = tmp_path / "ours"
    save_folder(path)
    (path / "notes.md").write_text("dear")
    with (
        pytest.raises(OutputError, match=r"would delete 'notes\.md'"),
        replace_folder(path, marker=MARKER, others=["part"]),
    ):
        pytest.fail("it would have been deleted")
    with pytest.raises(OutputError, match=r"would delete 'notes\.md'"):
        check_folder(path, marker=MARKER, others=["part"])
    (path / "notes.md").unlink()
    check_folder(path, marker=MARKER, others=["part"])


def test_the_working_directory_is_never_replaced(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (tmp_path / "here").mkdir()
    monkeypatch.chdir(tmp_path / "here")
    for path in (Path(), Path(), Path(".."), tmp_path, Path("/")):
        with pytest.raises(OutputError, match="can't write"):
            save_folder(path)
        with pytest.raises(OutputError, match="can't write"):
            save_file(path)
    assert names(tmp_path) == ["here"]


def test_links_are_followed(tmp_path: Path) -> None:
    save_folder(tmp_path / "v1", "old")
    save_file(tmp_path / "file.txt", "old")
    (tmp_path / "current").symlink_to("v1")
    (tmp_path / "link.txt").symlink_to("file.txt")
    save_folder(tmp_path / "current", "new")
    save_file(tmp_path / "link.txt", "new")
    assert (tmp_path / "current").is_symlink()
    assert (tmp_path / "link.txt").is_symlink()
    assert (tmp_path / "v1" / MARKER).read_text() == "new"
    assert (tmp_path / "file.txt").read_text() == "new"
    assert len(list(tmp_path.iterdir())) == 4


def test_checking_beforehand_leaves_no_trace(tmp_path: Path) -> None:
    check_folder(tmp_path / "a" / "b" / "ours", marker=MARKER)
    assert names(tmp_path) == []
    save_folder(tmp_path / "ours")
    held = names(tmp_path)
    check_folder(tmp_path / "ours", marker=MARKER)
    assert names(tmp_path) == held
