"""Opening stores by URI."""

import sys
from importlib.metadata import EntryPoint
from pathlib import Path

import pytest

from crossfade.errors import InvalidInput, MissingExtra, StoreError
from crossfade.stores import Draft, known_schemes, open_store, uri
from crossfade.stores.memory import MemoryStore


def test_a_named_memory_collection_is_found_again_in_the_process() -> None:
    open_store("memory://test-uri").put([Draft(1)])
    assert open_store("memory://test-uri").count() == 1
    assert open_store("memory://test-uri-other").count() == 0


def test_every_nameless_memory_collection_is_new() -> None:
    open_store("memory://").put([Draft(1)])
    assert open_store("memory://").count() == 0


def test_a_qdrant_path_may_be_absolute_or_relative(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    with open_store("qdrant://some/where") as store:
        store.put([Draft(1)])
    with open_store(f"qdrant://{tmp_path}/some/where") as store:
        assert store.count() == 1
        assert store.folder == tmp_path / "some" / "where"


@pytest.mark.parametrize("bad", ["gallery", "pinecone://x", "://x", "", "qdrant://"])
def test_a_bad_uri_says_what_is_known(bad: str) -> None:
    with pytest.raises(InvalidInput, match="qdrant"):
        open_store(bad)
    assert {"memory", "qdrant"} <= set(known_schemes())


@pytest.mark.parametrize("bad", ["postgre://me:s3cret@db/shop", "me:s3cret@db/shop"])
def test_a_bad_uri_is_shown_without_its_credentials(bad: str) -> None:
    with pytest.raises(InvalidInput, match="db/shop") as caught:
        open_store(bad)
    assert "s3cret" not in str(caught.value)


def test_a_missing_driver_comes_with_its_pip_line(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "psycopg", None)
    with pytest.raises(MissingExtra, match=r'pip install "crossfade\[pgvector\]"'):
        open_store("postgresql://db/shop?table=t")


@pytest.mark.parametrize(
    ("uri", "package", "extra"),
    [
        ("qdrant://{}/x", "qdrant_edge", "qdrant"),
        ("faiss://{}/x", "faiss", "faiss"),
        ("lancedb://{}/x", "lancedb", "lancedb"),
        ("qdrant+http://localhost/x", "qdrant_client", "qdrant-server"),
        ("qdrant+https://localhost/x", "qdrant_client", "qdrant-server"),
    ],
)
def test_a_missing_package_comes_with_its_pip_line(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, uri: str, package: str, extra: str
) -> None:
    scheme = uri.partition("://")[0]
    modules = f"crossfade.stores.{'qdrant_server' if '+' in scheme else scheme}."
    for name in [name for name in sys.modules if name.startswith((modules, f"{package}."))]:
        monkeypatch.delitem(sys.modules, name)
    monkeypatch.setitem(sys.modules, package, None)
    with pytest.raises(MissingExtra, match=rf'pip install "crossfade\[{extra}\]"'):
        open_store(uri.format(tmp_path))
    assert not list(tmp_path.iterdir())


def test_an_entry_point_that_opens_no_store_is_refused(monkeypatch: pytest.MonkeyPatch) -> None:
    def entries(*, group: str, name: str) -> list[EntryPoint]:
        return [EntryPoint(name, "builtins:repr", group)]

    monkeypatch.setattr(uri, "entry_points", entries)
    with pytest.raises(StoreError, match="returned no Store"):
        open_store("strange://x")


def test_a_memory_store_is_a_context(tmp_path: Path) -> None:
    with open_store(f"memory://{tmp_path}") as store:
        assert isinstance(store, MemoryStore) and store.folder is None
