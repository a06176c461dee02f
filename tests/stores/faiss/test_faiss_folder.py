"""The folder of a faiss:// collection: crashes, damage, index files of any age, imports."""

import sqlite3
import threading
from pathlib import Path

import faiss
import numpy as np
import pytest

from crossfade.embeddings import Space
from crossfade.errors import DataFileError, InvalidInput, StoreError
from crossfade.stores import Draft, Store, VectorWrite, measure_recall, open_store
from crossfade.stores.faiss.importing import import_index
from crossfade.testing import run_script

SPACE = Space("old", 16)


def unit(n: int, seed: int = 0) -> np.ndarray:  # type: ignore[type-arg]
    rows = np.random.default_rng(seed).normal(size=(n, SPACE.dim)).astype(np.float32)
    return rows / np.linalg.norm(rows, axis=1, keepdims=True)


def opened(folder: Path, options: str = "") -> Store:
    return open_store(f"faiss://{folder}{options}")


def fill(store: Store, n: int, seed: int = 0) -> None:
    store.ensure_space(SPACE)
    store.put([Draft(id, {"old": row}, {"n": id}) for id, row in enumerate(unit(n, seed))])


def same_as_exact(store: Store, n: int = 20) -> bool:
    queries = unit(n, seed=9)
    exact = store.search("old", queries, 5)
    found = store.search("old", queries, 5, exact=False)
    return sum(a == b for a, b in zip(exact, found, strict=True)) >= n - 2


@pytest.mark.parametrize("kind", ["hnsw", "ivf"])
def test_an_index_is_kept_in_a_file_and_brought_up_to_date(tmp_path: Path, kind: str) -> None:
    with opened(tmp_path / "g", f"?index={kind}") as store:
        fill(store, 1500)
        store.build_index("old")
        assert store.index_settings("old")["kind"] == kind
        (file,) = (tmp_path / "g").glob("*.faiss")
        old_files = {path.name: path.read_bytes() for path in (tmp_path / "g").glob("space-*")}
        assert faiss.read_index(str(file)).ntotal == 1500
        store.put([Draft(id, {"old": row}) for id, row in enumerate(unit(300, 1), start=1200)])
        store.delete(range(100))
        before = store.search("old", unit(20, seed=9), 5)
    # The file of before the last writes, as if the process had been killed.
    for path in (tmp_path / "g").glob("space-*"):
        path.unlink()
    for name, content in old_files.items():
        (tmp_path / "g" / name).write_bytes(content)
    with sqlite3.connect(tmp_path / "g" / "ledger.sqlite3") as ledger:
        ledger.execute("UPDATE spaces SET file = ?", (file.stem.rpartition("-")[2],))
    ledger.close()
    with opened(tmp_path / "g") as store:
        assert store.index_settings("old")["kind"] == kind
        assert store.search("old", unit(20, seed=9), 5) == before
        assert measure_recall(store, "old", unit(50, seed=9), 10).recall > 0.8
        (found,) = store.search("old", unit(1, 1), 3, exact=False)
        assert found[0].id == 1200


@pytest.mark.parametrize("how", ["gone", "empty", "halved", "another's"])
def test_a_damaged_index_file_is_built_again(tmp_path: Path, how: str) -> None:
    with opened(tmp_path / "g") as store:
        fill(store, 500)
        store.build_index("old")
        before = store.search("old", unit(20, seed=9), 5)
    for file in (tmp_path / "g").glob("*.faiss"):
        content = file.read_bytes()
        if how == "gone":
            file.unlink()
        elif how == "another's":
            faiss.write_index(faiss.IndexFlatIP(3), str(file))
        else:
            file.write_bytes(content[: len(content) // 2] if how == "halved" else b"")
    with opened(tmp_path / "g") as store:
        assert store.search("old", unit(20, seed=9), 5) == before
        assert store.index_settings("old")["kind"] == "hnsw"
        assert same_as_exact(store)


def test_only_the_file_in_use_is_kept(tmp_path: Path) -> None:
    with opened(tmp_path / "g") as store:
        fill(store, 100)
        for _ in range(3):
            store.build_index("old")
        assert len([*(tmp_path / "g").glob("space-*")]) == 2
        store.drop_space("old")
        assert not [*(tmp_path / "g").glob("space-*")]


def test_many_rewrites_do_not_grow_the_index(tmp_path: Path) -> None:
    with opened(tmp_path / "g") as store:
        fill(store, 200)
        store.build_index("old")
        for turn in range(30):
            fill(store, 200, seed=turn)
            store.delete([turn])
    index = faiss.read_index(str(next((tmp_path / "g").glob("*.faiss"))))
    assert index.ntotal < 200 + 1_000 + 200 + 1


def test_an_ivf_index_of_nothing_is_refused(tmp_path: Path) -> None:
    with opened(tmp_path / "g", "?index=ivf") as store:
        store.ensure_space(SPACE)
        with pytest.raises(InvalidInput, match="none yet"):
            store.build_index("old")
        assert store.index_settings("old") == {}
        fill(store, 3)
        assert len(store.search("old", unit(1), 9, exact=False)[0]) == 3


def test_searches_of_an_index_run_while_it_is_written_and_built(tmp_path: Path) -> None:
    """FAISS alone crashes here."""
    errors: list[BaseException] = []
    done = threading.Event()
    with opened(tmp_path / "g") as store:
        fill(store, 400)
        store.build_index("old")

        def guarded(work: object) -> None:
            try:
                work()  # type: ignore[operator]
            except BaseException as error:
                errors.append(error)

        def search() -> None:
            while not done.is_set():
                found = store.search("old", unit(4, seed=3), 5, exact=False)
                assert [len(matches) for matches in found] == [5] * 4

        def write() -> None:
            for turn in range(40):
                rows = unit(50, seed=turn)
                store.put([Draft(400 + id, {"old": row}) for id, row in enumerate(rows)])
                items = [item for item in store.get(range(400, 420)) if item is not None]
                store.set_vectors(
                    "old", [VectorWrite(item.id, item.version, rows[0]) for item in items]
                )
                store.delete(range(420, 450))
                if turn % 10 == 0:
                    store.build_index("old")

        searching = [threading.Thread(target=guarded, args=(search,)) for _ in range(2)]
        writing = threading.Thread(target=guarded, args=(write,))
        for thread in [*searching, writing]:
            thread.start()
        writing.join()
        done.set()
        for thread in searching:
            thread.join()
        assert not errors
        assert store.count() == 420
        assert same_as_exact(store)


def test_other_options_and_folders_are_refused(tmp_path: Path) -> None:
    for bad in ("", "?index=hnsw", f"{tmp_path}/g?index=pq", f"{tmp_path}/g?m=3"):
        with pytest.raises(InvalidInput):
            open_store(f"faiss://{bad}")
    (tmp_path / "thesis.txt").write_text("mine")
    with pytest.raises(StoreError, match="holds other files"):
        opened(tmp_path)
    with opened(tmp_path / "g"), pytest.raises(StoreError, match="this very process"):
        opened(tmp_path / "g")
    (tmp_path / "g" / "ledger.sqlite3").write_text("x" * 5000)
    with pytest.raises(StoreError, match="can't be read"):
        opened(tmp_path / "g")


WRITE = """
import sys
import numpy as np
from crossfade.embeddings import Space
from crossfade.stores import Draft, VectorWrite, open_store

row = np.eye(16, dtype=np.float32)[0]
store = open_store("faiss://" + sys.argv[1])
store.ensure_space(Space("old", 16)); store.ensure_space(Space("new", 16))
ids = [item.id for item in store.scan(n=10**6)]
store.delete([id for id in ids if isinstance(id, str)])
n = 1 + max([id for id in ids if isinstance(id, int)], default=-1)
store.search("old", row[None], 1)
if n:
    store.build_index("old")
print("ready", flush=True)
while True:
    store.put([Draft(n, {"old": row}), Draft(str(n))])
    store.delete([str(n)])
    (item,) = store.get([n])
    store.set_vectors("new", [VectorWrite(n, item.version, row)])
    n += 1
    print(n, flush=True)
"""


def test_acknowledged_writes_survive_sigkill(tmp_path: Path) -> None:
    script = tmp_path / "write.py"
    script.write_text(WRITE)
    for kills, pause in enumerate((0.1, 0.2, 0.3)):
        run = run_script(script, str(tmp_path / "g"), kill_after_seconds=pause)
        assert run.killed, run.errors
        acknowledged = int(["0", *run.output.split("ready")[1].split()][-1])
        with opened(tmp_path / "g") as store:
            ids = [item.id for item in store.scan(n=10**6)]
            assert set(range(acknowledged)) <= set(ids)
            assert not {str(n) for n in range(acknowledged)} & set(ids)
            # Each earlier kill may have come between an item and its second vector.
            assert store.count(has="new") >= acknowledged - kills
            for exact in (True, False):
                (found,) = store.search("old", np.eye(16, dtype=np.float32)[:1], 10**6, exact=exact)
                assert len(found) == store.count(has="old")


def written(index: object, file: Path) -> Path:
    faiss.write_index(index, str(file))
    return file


def test_an_index_file_is_imported_with_a_list_of_ids(tmp_path: Path) -> None:
    rows = unit(300)
    flat, hnsw = faiss.IndexFlatIP(16), faiss.IndexHNSWFlat(16, 16)
    ivf = faiss.IndexIVFFlat(faiss.IndexFlatL2(16), 16, 4)
    ivf.train(rows)
    mapped = faiss.IndexIDMap2(faiss.IndexFlatIP(16))
    mapped.add_with_ids(rows, np.arange(1000, 1300))
    for index in (flat, hnsw, ivf):
        index.add(rows)
    ids = [f"item {n}" for n in range(300)]
    with opened(tmp_path / "g") as store:
        for index in (flat, hnsw, ivf, mapped):
            file = written(index, tmp_path / "their.faiss")
            listed = None if index is mapped else ids
            assert import_index(store, "old", file, listed, payload=lambda id: {"id": id}) == 300
        assert store.count(has="old") == 600
        found = store.get(["item 7", 1007], vectors=["old"])
        assert all(
            item is not None and np.array_equal(item.vectors["old"], rows[7]) for item in found
        )
        assert found[0] is not None and found[0].payload == {"id": "item 7"}


def test_a_file_that_can_not_be_imported_is_a_clear_error(tmp_path: Path) -> None:
    with opened(tmp_path / "g") as store:
        (tmp_path / "text").write_text("no index")
        with pytest.raises(DataFileError, match="no index of FAISS"):
            import_index(store, "old", tmp_path / "text")
        with pytest.raises(DataFileError):
            import_index(store, "old", tmp_path / "not there")
        index = faiss.IndexFlatIP(16)
        index.add(2 * unit(3))
        long = written(index, tmp_path / "long.faiss")
        with pytest.raises(InvalidInput, match="lengths 2 to 2, wanted 1"):
            import_index(store, "old", long)
        with pytest.raises(InvalidInput, match="3 vectors, but 2 ids"):
            import_index(store, "old", long, [1, 2])
        assert store.spaces() == {}
