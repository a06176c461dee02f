"""The table of a lancedb:// collection: several writers, hostile texts, crashes, growth."""

import subprocess
import sys
from pathlib import Path

import lancedb
import numpy as np
import pyarrow as pa
import pytest

from crossfade.embeddings import Space
from crossfade.errors import InvalidInput, StoreError
from crossfade.stores import Draft, Outcome, Store, VectorWrite, open_store
from crossfade.stores.filters import matches
from crossfade.stores.lancedb import table
from crossfade.stores.lancedb.terms import id_of, key_of, literal
from crossfade.testing import run_script
from crossfade.testing.contract.values import AWKWARD_IDS

SPACE = Space("old", 4)
AXIS = np.array([1, 0, 0, 0], np.float32)
HOSTILE = [
    "' OR '1'='1",
    "'; DROP TABLE gallery; --",
    "') OR true --",
    "\\' OR true --",
    '" OR true --',
    "`key` IS NOT NULL",
    "%' OR key LIKE '%",
    "\0' OR true",
    "/* */",
    "’ or true",
]


def opened(folder: Path) -> Store:
    return open_store(f"lancedb://{folder}?table=t")


def test_a_hostile_text_is_a_text(tmp_path: Path) -> None:
    with opened(tmp_path) as store:
        store.ensure_space(SPACE)
        payloads = [{text: text, "field": text} for text in HOSTILE]
        store.put(
            [
                Draft(text, {"old": AXIS}, payload)
                for text, payload in zip(HOSTILE, payloads, strict=True)
            ]
        )
        for text in HOSTILE:
            for filter in ({"field": text}, {text: text}, {text: {"in": ["x", text]}}):
                expected = [
                    id for id, one in zip(HOSTILE, payloads, strict=True) if matches(filter, one)
                ]
                (found,) = store.search("old", AXIS[None], 100, filter=filter)
                assert sorted(match.id for match in found) == sorted(expected) == [text]
            assert store.search("old", AXIS[None], 100, filter={text: {"gte": 0}}) == [[]]
            assert store.get([text])[0] is not None
        assert store.delete(HOSTILE[:1]) == 1
        assert store.count() == len(HOSTILE) - 1


def test_no_literal_holds_what_could_end_it() -> None:
    for text in HOSTILE:
        with pytest.raises(InvalidInput):
            literal(text)


def test_keys_are_in_the_order_of_ids() -> None:
    keys = [key_of(id) for id in AWKWARD_IDS]
    assert [id_of(key) for key in keys] == AWKWARD_IDS
    by_key = [id_of(key) for key in sorted(keys)]
    assert by_key == sorted(AWKWARD_IDS, key=lambda id: (isinstance(id, str), id))


WRITER = """
import sys
import numpy as np
from crossfade.stores import Draft, VectorWrite, open_store

row = np.array([1, 0, 0, 0], np.float32)
with open_store("lancedb://" + sys.argv[1] + "?table=t") as store:
    for turn in range(5):
        store.put([Draft(id, {}, {"by": sys.argv[2]}) for id in range(10)])
        items = store.get(range(10))
        store.set_vectors("old", [VectorWrite(item.id, item.version, row) for item in items])
"""


def test_two_processes_write_the_same_rows_and_none_comes_twice(tmp_path: Path) -> None:
    """Handles that had not seen the other's last write made 2,200 rows of 2,000 ids."""
    with opened(tmp_path) as store:
        store.ensure_space(SPACE)
        script = [sys.executable, "-c", WRITER, str(tmp_path)]
        writers = [subprocess.Popen([*script, name], stderr=subprocess.PIPE) for name in "ab"]
        while any(writer.poll() is None for writer in writers):
            assert store.count() in (0, 10)
            (found,) = store.search("old", AXIS[None], 100)
            assert len({match.id for match in found}) == len(found)
        for writer in writers:
            _, errors = writer.communicate()
            assert writer.returncode == 0, errors.decode()
        assert [item.id for item in store.scan(n=100)] == list(range(10))


def test_a_version_that_another_process_replaced_is_stale(tmp_path: Path) -> None:
    with opened(tmp_path) as one, opened(tmp_path) as other:
        one.ensure_space(SPACE)
        one.put([Draft(1), Draft(2)])
        seen = [item for item in one.get([1, 2]) if item is not None]
        other.put([Draft(1, {}, {"newer": True})])
        writes = [VectorWrite(item.id, item.version, AXIS) for item in seen]
        assert one.set_vectors("old", writes) == [Outcome.STALE, Outcome.APPLIED]
        assert other.count(has="old") == 1


def test_many_small_writes_do_not_grow_without_bound(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(table, "COMPACT_AFTER", 20)
    monkeypatch.setattr(table, "KEEP_SECONDS", 0.01)
    files = []
    with opened(tmp_path) as store:
        store.ensure_space(SPACE)
        for turn in range(120):
            store.put([Draft(turn % 10, {"old": AXIS}, {"turn": turn})])
            files.append(len([*(tmp_path / "t.lance").rglob("*")]))
        # Twenty writes' own, and those of as many that were too young to be deleted with them.
        assert max(files) < 2 * files[18]
        assert [item.payload["turn"] for item in store.scan(n=100)] == [*range(110, 120)]


def test_other_peoples_tables_are_left_alone(tmp_path: Path) -> None:
    theirs = lancedb.connect(str(tmp_path)).create_table("t", pa.table({"id": [1]}))
    with pytest.raises(StoreError, match="not written by this store"):
        opened(tmp_path)
    assert theirs.count_rows() == 1
    with open_store(f"lancedb://{tmp_path}?table=other") as store:
        assert store.count() == 0


@pytest.mark.parametrize("bad", ["", "?table=t", "x?table=", "x?table=../y", "x?name=t"])
def test_bad_locations_are_refused(bad: str) -> None:
    with pytest.raises(InvalidInput, match="lancedb://"):
        open_store(f"lancedb://{bad}")


def test_a_path_that_can_not_be_created_is_a_clear_error(tmp_path: Path) -> None:
    (tmp_path / "file").write_text("")
    with pytest.raises(StoreError, match="can't be opened"):
        opened(tmp_path / "file" / "below")


def test_an_index_of_nothing_is_refused(tmp_path: Path) -> None:
    with opened(tmp_path) as store:
        store.ensure_space(SPACE)
        with pytest.raises(InvalidInput, match="none yet"):
            store.build_index("old")
        assert store.index_settings("old") == {}


WRITE = """
import sys
import numpy as np
from crossfade.embeddings import Space
from crossfade.stores import Draft, VectorWrite, open_store
from crossfade.stores.lancedb import table

table.COMPACT_AFTER = 10
row = np.array([1, 0, 0, 0], np.float32)
store = open_store("lancedb://" + sys.argv[1] + "?table=t")
store.ensure_space(Space("old", 4)); store.ensure_space(Space("new", 4))
ids = [item.id for item in store.scan(n=10**6)]
store.delete([id for id in ids if isinstance(id, str)])
n = 1 + max([id for id in ids if isinstance(id, int)], default=-1)
print("ready", flush=True)
while True:
    store.put([Draft(n, {"old": row}), Draft(str(n))])
    store.delete([str(n)])
    (item,) = store.get([n])
    store.set_vectors("new", [VectorWrite(n, item.version, row)])
    store.swap_pointer("p", store.read_pointer("p"), str(n))
    n += 1
    print(n, flush=True)
"""


def test_acknowledged_writes_survive_sigkill(tmp_path: Path) -> None:
    script = tmp_path / "write.py"
    script.write_text(WRITE)
    for kills, pause in enumerate((0.5, 1.0)):
        run = run_script(script, str(tmp_path), kill_after_seconds=pause)
        assert run.killed, run.errors
        acknowledged = int(["0", *run.output.split("ready")[1].split()][-1])
        with opened(tmp_path) as store:
            ids = [item.id for item in store.scan(n=10**6)]
            assert len(set(ids)) == len(ids)
            assert set(range(acknowledged)) <= set(ids)
            assert not {str(n) for n in range(acknowledged)} & set(ids)
            # Each earlier kill may have come between an item and its second vector.
            assert store.count(has="new") >= acknowledged - kills
            assert int(store.read_pointer("p") or 0) >= acknowledged - 1
