"""New embeddings from a file, by id."""

import tempfile
import tracemalloc
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from crossfade.embeddings import Pairs
from crossfade.embeddings.encoders import Takes, load_encoder
from crossfade.errors import CrossfadeError, DataFileError, EncoderError, InvalidInput

RNG = np.random.default_rng(0)
ROWS = RNG.normal(size=(50, 7)).astype(np.float32)
NUMBERS = RNG.permutation(1000)[:50] - 500
NAMES = np.array([f"ä-{number}" for number in NUMBERS])


def write(path: Path, ids: Any, vectors: Any = ROWS) -> Path:
    if path.suffix == ".npz":
        np.savez(path, ids=ids, vectors=vectors)
    elif path.suffix == ".parquet":
        lists = pa.array(np.asarray(vectors).tolist(), pa.list_(pa.float32()))
        pq.write_table(pa.table({"id": ids, "vector": lists}), path, row_group_size=8)
    else:
        path.mkdir()
        np.save(path / "ids.npy", ids)
        np.save(path / "vectors.npy", vectors)
    return path


@pytest.mark.parametrize("form", ["v.npz", "v.parquet", "v"])
@pytest.mark.parametrize("ids", [NUMBERS, NAMES], ids=["numbers", "text"])
def test_ids_find_their_rows_in_every_form(tmp_path: Path, form: str, ids: Any) -> None:
    encoder = load_encoder(f"precomputed:{write(tmp_path / form, ids)}")
    order = RNG.permutation(50)
    np.testing.assert_array_equal(encoder(ids[order].tolist()), ROWS[order])
    assert (encoder.dim, encoder.takes, encoder.name) == (7, Takes.IDS, f"precomputed:{form}")


def test_compressed_and_half_precision_arrays_are_read(tmp_path: Path) -> None:
    np.savez_compressed(tmp_path / "v.npz", ids=NUMBERS, vectors=ROWS.astype(np.float16))
    got = load_encoder(f"precomputed:{tmp_path}/v.npz")(NUMBERS.tolist())
    assert got.dtype == np.float32
    np.testing.assert_allclose(got, ROWS, atol=2e-3)


def test_a_file_of_pairs_gives_its_new_side_and_other_names_can_be_said(tmp_path: Path) -> None:
    Pairs.of(NUMBERS, ROWS[:, :3], ROWS).save(tmp_path / "pairs.npz")
    assert load_encoder(f"precomputed:{tmp_path}/pairs.npz").dim == 7
    encoder = load_encoder(f"precomputed:{tmp_path}/pairs.npz?vectors=old&name=legacy")
    assert (encoder.dim, encoder.name) == (3, "legacy")


@pytest.mark.parametrize("form", ["v.npz", "v.parquet", "v"])
def test_an_id_without_vector_is_refused_alone_and_says_why(tmp_path: Path, form: str) -> None:
    encoder = load_encoder(f"precomputed:{write(tmp_path / form, NUMBERS)}")
    with pytest.raises(EncoderError, match=rf"id 777777 is not in .*{form}$"):
        encoder.prepare(777777)
    with pytest.raises(EncoderError, match="whose ids are numbers, not text"):
        encoder.prepare(str(NUMBERS[0]))
    for absent in (2**63 - 1, -(2**63)):
        with pytest.raises(EncoderError, match="is not in"):
            encoder.prepare(absent)


@pytest.mark.parametrize("compressed", [False, True])
def test_a_large_file_is_read_through_a_small_window(tmp_path: Path, compressed: bool) -> None:
    n, dim = 40_000, 64
    rows = RNG.normal(size=(n, dim)).astype(np.float32)
    save = np.savez_compressed if compressed else np.savez
    save(tmp_path / "v.npz", ids=np.arange(n), vectors=rows)
    tracemalloc.start()
    try:
        encoder = load_encoder(f"precomputed:{tmp_path}/v.npz")
        got = encoder(list(range(0, n, 400)))
        peak = tracemalloc.get_traced_memory()[1]
    finally:
        tracemalloc.stop()
    np.testing.assert_array_equal(got, rows[::400])
    assert peak < rows.nbytes / 2


def test_unpacking_leaves_no_file_behind(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (tmp_path / "tmp").mkdir()
    monkeypatch.setattr(tempfile, "tempdir", str(tmp_path / "tmp"))
    encoder = load_encoder(f"precomputed:{write(tmp_path / 'v.parquet', NUMBERS)}")
    assert list((tmp_path / "tmp").iterdir()) == []
    np.testing.assert_array_equal(encoder(NUMBERS[:3].tolist()), ROWS[:3])


def cut(path: Path) -> Path:
    path.write_bytes(path.read_bytes()[: path.stat().st_size // 2])
    return path


def test_a_truncated_file_is_refused(tmp_path: Path) -> None:
    cut(write(tmp_path / "v", NUMBERS) / "vectors.npy")
    for path in (
        cut(write(tmp_path / "v.npz", NUMBERS)),
        cut(write(tmp_path / "v.parquet", NUMBERS)),
        tmp_path / "v",
    ):
        with pytest.raises(DataFileError, match="can't be read"):
            load_encoder(f"precomputed:{path}")


@pytest.mark.parametrize(
    ("ids", "vectors", "kind", "why"),
    [
        (NUMBERS[:49], ROWS, DataFileError, "50 vectors for 49 ids"),
        ([1] * 50, ROWS, InvalidInput, "ids must be unique"),
        (NUMBERS, ROWS[:, 0], DataFileError, r"shape \(50,\)"),
        (NUMBERS, np.array([["a"]] * 50), DataFileError, "wanted a matrix of numbers"),
        (NUMBERS, np.array([[None]] * 50), DataFileError, "pickled objects"),
        (NUMBERS + 0.5, ROWS, InvalidInput, "must be integers or strings"),
    ],
)
def test_arrays_that_can_t_be_are_refused(
    tmp_path: Path, ids: Any, vectors: Any, kind: type[Exception], why: str
) -> None:
    with pytest.raises(kind, match=why):
        load_encoder(f"precomputed:{write(tmp_path / 'v.npz', ids, vectors)}")


def test_parquet_vectors_of_several_widths_are_refused(tmp_path: Path) -> None:
    n = 20_000
    lists = [[1.0, 2.0]] * (n - 1) + [[1.0]]
    pq.write_table(pa.table({"id": range(n), "vector": lists}), tmp_path / "v.parquet")
    with pytest.raises(DataFileError, match="vectors of 1 to 2 numbers"):
        load_encoder(f"precomputed:{tmp_path}/v.parquet")


@pytest.mark.parametrize("target", ["absent.npz", "absent", "text.txt", ""])
def test_what_is_no_file_of_vectors_is_refused(tmp_path: Path, target: str) -> None:
    (tmp_path / "text.txt").touch()
    with pytest.raises(CrossfadeError, match=r"wanted .npz, .parquet or a folder|lacks ids or id"):
        load_encoder(f"precomputed:{tmp_path}/{target}")
