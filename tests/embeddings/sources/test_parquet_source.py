"""Contents from Parquet."""

import tempfile
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from crossfade.embeddings.sources import Missing, Source, load_source
from crossfade.errors import DataFileError, InvalidInput

IDS = np.random.default_rng(0).permutation(5_000)


def write(path: Path, **columns: Any) -> Path:
    pq.write_table(pa.table(columns), path, row_group_size=700)
    return path


def ask(source: Source, *ids: int | str) -> list[Any]:
    return list(source(list(ids), [{} for _ in ids]))


def test_contents_are_found_by_id_across_row_groups(tmp_path: Path) -> None:
    file = write(tmp_path / "d.parquet", key=IDS, text=[f"text {id}" for id in IDS])
    source = load_source(f"parquet:{file}?id=key&content=text")
    wanted = [4_999, 0, 17, 2_500, 17]
    assert ask(source, *wanted) == [f"text {id}" for id in wanted]


def test_an_item_that_is_not_there_or_null_lacks_content_alone(tmp_path: Path) -> None:
    file = write(tmp_path / "d.parquet", id=["a", "b"], content=["text", None])
    found, null, absent, number = ask(load_source(f"parquet:{file}"), "a", "b", "c", 1)
    assert found == "text"
    assert isinstance(null, Missing) and "column content is null for id 'b'" in null.reason
    assert isinstance(absent, Missing) and "id 'c' is not in" in absent.reason
    assert isinstance(number, Missing) and "whose ids are text, not numbers" in number.reason


@pytest.mark.parametrize(
    "column",
    [
        pa.array([b"bytes", b"others"]),
        pa.array([b"bytes", b"others"], pa.large_binary()),
        pa.array([b"bytes", b"others"]).dictionary_encode(),
        pa.array([{"bytes": b"bytes", "path": "a.png"}, {"bytes": b"others", "path": None}]),
    ],
    ids=["binary", "large", "dictionary", "struct"],
)
def test_bytes_come_in_several_types(tmp_path: Path, column: Any) -> None:
    file = write(tmp_path / "d.parquet", id=[1, 2], content=column)
    assert ask(load_source(f"parquet:{file}"), 2, 1) == [b"others", b"bytes"]


def test_unpacking_leaves_no_file_behind(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (tmp_path / "tmp").mkdir()
    monkeypatch.setattr(tempfile, "tempdir", str(tmp_path / "tmp"))
    source = load_source(f"parquet:{write(tmp_path / 'd.parquet', id=[1], content=['a'])}")
    assert list((tmp_path / "tmp").iterdir()) == []
    assert ask(source, 1) == ["a"]


def test_an_empty_file_has_nobody(tmp_path: Path) -> None:
    file = write(
        tmp_path / "d.parquet", id=pa.array([], pa.int64()), content=pa.array([], pa.string())
    )
    (content,) = ask(load_source(f"parquet:{file}"), 1)
    assert isinstance(content, Missing)


def test_files_that_can_t_be_read_say_why(tmp_path: Path) -> None:
    file = write(tmp_path / "d.parquet", id=[1, 1], content=["a", "b"])
    with pytest.raises(InvalidInput, match="ids must be unique"):
        load_source(f"parquet:{file}")
    with pytest.raises(DataFileError, match="has no column 'text'; it has id, content"):
        load_source(f"parquet:{file}?content=text")
    null = write(tmp_path / "n.parquet", id=[1, None], content=["a", "b"])
    with pytest.raises(DataFileError, match="column id holds 1 nulls"):
        load_source(f"parquet:{null}")
    file.write_bytes(file.read_bytes()[:-40])
    with pytest.raises(DataFileError, match="can't be read"):
        load_source(f"parquet:{file}")
    with pytest.raises(DataFileError, match="does not exist"):
        load_source(f"parquet:{tmp_path}/absent")
