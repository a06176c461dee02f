"""The folder of a qdrant:// collection: ownership, damage, crashes."""

import os
import random
import shutil
import sqlite3
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest
import qdrant_edge as edge

from crossfade.embeddings import Space
from crossfade.errors import StoreError
from crossfade.stores import Draft, Store, open_store
from crossfade.stores.qdrant import points
from crossfade.testing import run_script

SPACE = Space("old", 3)
AXIS = np.array([1, 0, 0], np.float32)


def opened(folder: Path) -> Store:
    return open_store(f"qdrant://{folder}")


def fill(folder: Path, items: int = 20) -> None:
    with opened(folder) as store:
        store.ensure_space(SPACE)
        store.put([Draft(id, {"old": AXIS}, {"n": id}) for id in range(items)])
        store.swap_pointer("p", None, "v")


def test_a_second_opener_is_told_who_has_it_open(tmp_path: Path) -> None:
    with opened(tmp_path / "g"):
        with pytest.raises(StoreError, match=f"this very process, {os.getpid()}"):
            opened(tmp_path / "g")
        code = "import sys; from crossfade.stores import open_store; open_store(sys.argv[1])"
        other = subprocess.run(
            [sys.executable, "-c", code, f"qdrant://{tmp_path}/g"], capture_output=True, text=True
        )
        assert f"StoreError: qdrant://{tmp_path}/g is open in process {os.getpid()}" in other.stderr
    opened(tmp_path / "g").close()


def test_other_peoples_files_are_left_alone(tmp_path: Path) -> None:
    (tmp_path / "thesis.txt").write_text("mine")
    with pytest.raises(StoreError, match="holds other files"):
        opened(tmp_path)
    with pytest.raises(StoreError, match="is a file"):
        opened(tmp_path / "thesis.txt")
    assert [file.name for file in tmp_path.iterdir()] == ["thesis.txt"]


def test_a_path_that_can_not_be_created_is_a_clear_error(tmp_path: Path) -> None:
    (tmp_path / "file").write_text("")
    with pytest.raises(StoreError, match="can't be opened"):
        opened(tmp_path / "file" / "below")


def test_a_creation_that_was_interrupted_begins_again(tmp_path: Path) -> None:
    opened(tmp_path / "g").close()
    (tmp_path / "g" / "shard").rename(tmp_path / "g" / "shard.new")
    with sqlite3.connect(tmp_path / "g" / "catalog.sqlite3") as catalog:
        catalog.execute("DELETE FROM meta WHERE name IN ('started', 'seal')")
    catalog.close()
    with opened(tmp_path / "g") as store:
        assert store.spaces() == {} and store.count() == 0
        store.ensure_space(SPACE)
        store.put([Draft(1, {"old": AXIS})])
        assert len(store.search("old", AXIS[None], 3)[0]) == 1


def test_a_space_dropped_in_the_catalog_alone_is_dropped_at_the_next_opening(
    tmp_path: Path,
) -> None:
    fill(tmp_path / "g")
    with sqlite3.connect(tmp_path / "g" / "catalog.sqlite3") as catalog:
        catalog.execute("UPDATE spaces SET state = 'doomed'")
        catalog.execute("DELETE FROM meta WHERE name = 'seal'")
    catalog.close()
    with opened(tmp_path / "g") as store:
        assert store.spaces() == {} and store.count() == 20
        store.ensure_space(SPACE)
        assert store.count(has="old") == 0


def test_a_newer_format_is_refused(tmp_path: Path) -> None:
    fill(tmp_path / "g")
    with sqlite3.connect(tmp_path / "g" / "catalog.sqlite3") as catalog:
        catalog.execute("UPDATE meta SET value = '9' WHERE name = 'format'")
    catalog.close()
    with pytest.raises(StoreError, match="has format 9, this release reads 1"):
        opened(tmp_path / "g")


def engine_files(folder: Path) -> list[Path]:
    return sorted(file for file in (folder / "shard").rglob("*") if file.is_file())


def damage(file: Path, how: str) -> None:
    content = file.read_bytes()
    if how == "removed":
        file.unlink()
    else:
        file.write_bytes(content[: len(content) // 2] if how == "halved" else b"")


def opens_whole_or_says_so(whole: Path, number: int, how: str) -> bool:
    """Whether a copy with one damaged file opens; if so, all items must be there."""
    copy = whole.with_name("copy")
    shutil.copytree(whole, copy)
    damage(engine_files(copy)[number], how)
    try:
        with opened(copy) as store:
            items = store.scan(n=100, vectors=["old"])
            assert [item.payload for item in items] == [{"n": n} for n in range(20)]
            assert all(np.array_equal(item.vectors["old"], AXIS) for item in items)
            return True
    except StoreError as error:
        assert str(copy) in str(error)
        return False
    finally:
        shutil.rmtree(copy)


@pytest.mark.parametrize("name", ["segment.json", "version.info", "status.dat"])
def test_a_lost_file_of_the_engine_is_a_clear_error(tmp_path: Path, name: str) -> None:
    fill(tmp_path / "whole")
    files = engine_files(tmp_path / "whole")
    number = next(number for number, file in enumerate(files) if file.name == name)
    assert not opens_whole_or_says_so(tmp_path / "whole", number, "emptied")


def test_items_lost_behind_our_back_are_noticed(tmp_path: Path) -> None:
    """The engine opens quietly with fewer points if it loses the file that lists them."""
    fill(tmp_path / "g")
    shard = edge.EdgeShard.load(str(tmp_path / "g" / "shard"))
    shard.update(edge.UpdateOperation.delete_points([3]))
    shard.close()
    with pytest.raises(StoreError, match=r"held {'items': 20, .* now {'items': 19"):
        opened(tmp_path / "g")


@pytest.mark.slow
@pytest.mark.parametrize("how", ["halved", "emptied", "removed"])
def test_whatever_file_is_damaged_the_folder_opens_whole_or_says_so(
    tmp_path: Path, how: str
) -> None:
    fill(tmp_path / "whole")
    files = range(len(engine_files(tmp_path / "whole")))
    whole = [opens_whole_or_says_so(tmp_path / "whole", number, how) for number in files]
    assert not all(whole)


@pytest.mark.parametrize("how", ["halved", "emptied", "removed"])
def test_a_damaged_catalog_is_a_clear_error_and_no_item_is_touched(
    tmp_path: Path, how: str
) -> None:
    folder = tmp_path / "g"
    fill(folder)
    catalog = folder / "catalog.sqlite3"
    content = catalog.read_bytes()
    damage(catalog, how)
    with pytest.raises(StoreError, match=r"catalog"):
        opened(folder)
    catalog.write_bytes(content)
    with opened(folder) as store:
        assert store.count(has="old") == 20 and store.read_pointer("p") == "v"


def test_a_missing_shard_is_never_replaced_by_an_empty_one(tmp_path: Path) -> None:
    fill(tmp_path / "g")
    shutil.rmtree(tmp_path / "g" / "shard")
    for _ in range(2):
        with pytest.raises(StoreError, match="'shard' is missing"):
            opened(tmp_path / "g")


def test_ids_with_one_hash_are_refused(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    with opened(tmp_path / "g") as store:
        store.put([Draft("a")])
        original = points.uuid.uuid5
        monkeypatch.setattr(points.uuid, "uuid5", lambda space, _: original(space, "text:a"))
        with pytest.raises(StoreError, match="'b' and 'a' have the same hash"):
            store.put([Draft("b")])
        assert store.get(["b"]) == [None]
        assert store.delete(["b"]) == 0
        assert store.count() == 1


WRITE = """
import os, signal, sys
import numpy as np
from crossfade.embeddings import Space
from crossfade.stores import Draft, VectorWrite, open_store

store = open_store("qdrant://" + sys.argv[1])
store.ensure_space(Space("old", 3))
store.ensure_space(Space("new", 3))
row = np.array([1, 0, 0], np.float32)
print("ready", flush=True)
n = int(store.read_pointer("p") or -1) + 1
while True:
    store.put([Draft(n, {"old": row}), Draft(str(n), {"old": row})])
    item = store.get([n])[0]
    store.set_vectors("new", [VectorWrite(n, item.version, row)])
    store.delete([str(n)])
    store.swap_pointer("p", store.read_pointer("p"), str(n))
    if sys.argv[2] == "flush":
        store.flush()
    n += 1
    print(n, flush=True)
"""


@pytest.mark.parametrize("flush", ["flush", "no-flush"])
def test_acknowledged_writes_survive_sigkill(tmp_path: Path, flush: str) -> None:
    """Even without flush(): the engine's log is in the system's hands by then."""
    script = tmp_path / "write.py"
    script.write_text(WRITE)
    for pause in (0.05, 0.15, 0.3):
        run = run_script(script, str(tmp_path / "g"), flush, kill_after_seconds=pause)
        assert run.killed, run.errors
        acknowledged = int(["0", *run.output.split("ready")[1].split()][-1])
        with opened(tmp_path / "g") as store:
            ids = {item.id for item in store.scan(n=10**6)}
            assert set(range(acknowledged)) <= ids
            assert not {str(n) for n in range(acknowledged)} & ids
            assert store.count(has="new") >= acknowledged
            assert int(store.read_pointer("p") or 0) >= acknowledged - 1


CHANGE_SPACES = """
import sys
import numpy as np
from crossfade.embeddings import Space
from crossfade.stores import Draft, open_store

row = np.array([1, 0, 0], np.float32)
with open_store("qdrant://" + sys.argv[1]) as store:
    print("ready", flush=True)
    while True:
        store.ensure_space(Space("a", 3))
        store.put([Draft(n, {"old": row, "a": row}) for n in range(20, 25)])
        store.ensure_space(Space("b", 5))
        store.drop_space("a")
        store.drop_space("b")
"""


def kill_while_spaces_change(folder: Path, kills: int) -> None:
    """Alone, the engine can't be opened after about every sixth such kill."""
    fill(folder / "g")
    script = folder / "change.py"
    script.write_text(CHANGE_SPACES)
    moments = random.Random(0)
    for _ in range(kills):
        run = run_script(script, str(folder / "g"), kill_after_seconds=moments.uniform(0.01, 0.3))
        assert run.killed, run.errors
        with opened(folder / "g") as store:
            assert {"old"} <= set(store.spaces()) <= {"old", "a", "b"}
            assert len(store.scan(n=100)) == store.count(has="old")
            assert store.count() in (20, 25)
            for space in store.spaces().values():
                axis = np.eye(space.dim, dtype=np.float32)[:1]
                (found,) = store.search(space.name, axis, 100)
                assert len(found) == store.count(has=space.name)


def test_spaces_are_whole_after_a_kill_while_they_change(tmp_path: Path) -> None:
    kill_while_spaces_change(tmp_path, kills=6)


@pytest.mark.slow
def test_spaces_are_whole_after_many_kills_while_they_change(tmp_path: Path) -> None:
    kill_while_spaces_change(tmp_path, kills=60)


BUILD = """
import sys
import numpy as np
from crossfade.embeddings import Space
from crossfade.stores import Draft, open_store

rows = np.random.default_rng(0).normal(size=(24_000, 256)).astype(np.float32)
rows /= np.linalg.norm(rows, axis=1, keepdims=True)
with open_store("qdrant://" + sys.argv[1]) as store:
    store.ensure_space(Space("old", 256))
    if not store.count():
        store.put([Draft(n, {"old": row}, {"n": n}) for n, row in enumerate(rows)])
    print("ready", flush=True)
    store.build_index("old")
    print(store.index_settings("old")["indexed_vectors"], flush=True)
"""


@pytest.mark.slow
def test_nothing_is_lost_by_a_kill_while_the_index_is_built(tmp_path: Path) -> None:
    script = tmp_path / "build.py"
    script.write_text(BUILD)
    for pause in (0.5, 1.0, 2.0):
        run = run_script(script, str(tmp_path / "g"), kill_after_seconds=pause)
        assert run.killed, run.errors
        with opened(tmp_path / "g") as store:
            assert store.count() == store.count(has="old") == 24_000
    assert run_script(script, str(tmp_path / "g")).output == "ready\n24000\n"
    queries = np.random.default_rng(1).normal(size=(20, 256)).astype(np.float32)
    queries /= np.linalg.norm(queries, axis=1, keepdims=True)
    with opened(tmp_path / "g") as store:
        items = store.scan(n=24_000, vectors=["old"])
        rows = np.stack([item.vectors["old"] for item in items])
        best = np.argsort(-(queries @ rows.T), axis=1)[:, :10].tolist()
        found = store.search("old", queries, 10)
        assert [[items[row].id for row in one] for one in best] == [
            [match.id for match in matches] for matches in found
        ]
        (rare,) = store.search("old", queries[:1], 10, filter={"n": {"lt": 5}}, exact=False)
        assert sorted(match.id for match in rare) == [0, 1, 2, 3, 4]


FORK = """
import os, sys, time
from crossfade.errors import StoreError
from crossfade.stores import open_store
store = open_store(sys.argv[1])
child = os.fork()
if child == 0:
    time.sleep(60)
    os._exit(0)
store.close()
try:
    open_store(sys.argv[1])
except StoreError as error:
    print(error)
os.kill(child, 9)
os.waitpid(child, 0)
open_store(sys.argv[1]).close()
print("open again")
"""


def test_a_forked_worker_that_holds_the_folder_is_not_called_damage(tmp_path: Path) -> None:
    command = [sys.executable, "-c", FORK, f"qdrant://{tmp_path / 'store'}"]
    done = subprocess.run(command, capture_output=True, text=True, timeout=120)
    assert done.returncode == 0, done.stderr
    assert "held by a child process" in done.stdout
    assert done.stdout.endswith("open again\n")
