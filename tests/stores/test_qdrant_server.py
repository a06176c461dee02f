"""qdrant+http://: locations, keys, old servers, concurrent writers. On the client's local mode."""

import http.server
import json
import threading
from collections.abc import Iterator
from pathlib import Path
from typing import ClassVar

import numpy as np
import pytest
from local_qdrant import local_store, store_of
from qdrant_client import QdrantClient, models

from crossfade.embeddings import Space
from crossfade.errors import InvalidInput, StoreError, StoreUnavailable
from crossfade.stores import Draft, Outcome, VectorWrite, open_store
from crossfade.stores.qdrant_server import API_KEY
from crossfade.stores.qdrant_server.connect import check_version

SPACE = Space("old", 4)
AXIS = np.array([1, 0, 0, 0], np.float32)
SECRET = "s3cret-key"


@pytest.mark.parametrize(
    "location",
    ["", "host", "host:6333", "host:6333/", "host:x/c", "host/a/b", "host/c?x=1", "host/../c"],
)
def test_another_form_is_refused(location: str) -> None:
    with pytest.raises(InvalidInput, match=r"wanted qdrant\+http://HOST:PORT/COLLECTION"):
        open_store(f"qdrant+http://{location}")


def test_credentials_in_a_uri_are_refused_and_not_shown() -> None:
    with pytest.raises(InvalidInput, match=API_KEY) as caught:
        open_store(f"qdrant+https://me:{SECRET}@host/c")
    assert SECRET not in str(caught.value)


def test_a_key_is_not_sent_in_the_clear(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv(API_KEY, SECRET)
    with pytest.raises(InvalidInput, match="in the clear") as caught:
        open_store("qdrant+http://db.example/c")
    assert SECRET not in str(caught.value)


def test_a_server_that_is_not_there_may_come_back(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv(API_KEY, SECRET)
    with pytest.raises(StoreUnavailable, match="can't be reached") as caught:
        open_store("qdrant+http://127.0.0.1:1/c")
    assert SECRET not in str(caught.value)


class Answers(http.server.BaseHTTPRequestHandler):
    """A server that says nothing but its version, and remembers what it was asked."""

    version = "1.15.0"
    keys: ClassVar[list[str | None]] = []

    def do_GET(self) -> None:
        self.keys.append(self.headers.get("api-key"))
        body = json.dumps({"title": "qdrant", "version": self.version}).encode()
        self.send_response(200 if self.path == "/" else 503)
        self.send_header("Content-Type", "application/json")
        self.send_header("Content-Length", str(len(body)))
        self.end_headers()
        self.wfile.write(body)

    def log_message(self, format: str, *arguments: object) -> None:
        """Nothing."""


@pytest.fixture
def port() -> Iterator[int]:
    with http.server.ThreadingHTTPServer(("127.0.0.1", 0), Answers) as server:
        thread = threading.Thread(target=server.serve_forever)
        thread.start()
        yield server.server_address[1]
        server.shutdown()
        thread.join()


def test_an_old_server_is_refused_and_gets_the_key_of_the_environment(
    port: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv(API_KEY, SECRET)
    with pytest.raises(StoreError, match=r"runs version 1\.15\.0, wanted 1\.16"):
        open_store(f"qdrant+http://127.0.0.1:{port}/c")
    assert SECRET in Answers.keys


def test_a_busy_server_may_be_asked_again(port: int, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(Answers, "version", "1.16.2")
    with pytest.raises(StoreUnavailable, match="answered 503"):
        open_store(f"qdrant+http://127.0.0.1:{port}/c")


@pytest.mark.parametrize(
    ("version", "taken"), [("1.16.0", True), ("2.0.1", True), ("1.9.9", False)]
)
def test_versions_are_compared_as_numbers(version: str, taken: bool) -> None:
    if taken:
        check_version(version, "uri")
    else:
        with pytest.raises(StoreError, match="upgrade it"):
            check_version(version, "uri")


def test_a_version_that_another_client_replaced_is_stale(tmp_path: Path) -> None:
    one, other = local_store(tmp_path), local_store(tmp_path)
    one.ensure_space(SPACE)
    one.put([Draft(1), Draft(2), Draft(3)])
    seen = [item for item in one.get([1, 2, 3]) if item is not None]
    other.put([Draft(1, {}, {"newer": True})])
    other.delete([3])
    writes = [VectorWrite(item.id, item.version, AXIS) for item in seen]
    expected = [Outcome.STALE, Outcome.APPLIED, Outcome.GONE]
    assert one.set_vectors("old", writes) == expected
    assert other.count(has="old") == 1


@pytest.mark.parametrize("between", ["put", "delete"])
def test_a_write_between_reading_and_writing_is_noticed(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, between: str
) -> None:
    """The server's own condition decides, not what we read before."""
    one, other = local_store(tmp_path), local_store(tmp_path)
    one.ensure_space(SPACE)
    one.put([Draft(1), Draft(2)])
    seen = [item for item in one.get([1, 2]) if item is not None]
    client = one._client  # type: ignore[attr-defined]
    update = client.update_vectors

    def interrupted(*arguments: object) -> object:
        if between == "put":
            other.put([Draft(1, {}, {"newer": True})])
        else:
            other.delete([1])
        monkeypatch.setattr(client, "update_vectors", update)
        return update(*arguments)

    monkeypatch.setattr(client, "update_vectors", interrupted)
    outcomes = one.set_vectors("old", [VectorWrite(i.id, i.version, AXIS) for i in seen])
    lost = Outcome.STALE if between == "put" else Outcome.GONE
    assert outcomes == [lost, Outcome.APPLIED]
    assert one.count(has="old") == 1


def test_a_swap_that_was_followed_by_another_was_won_all_the_same(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    one, other = local_store(tmp_path), local_store(tmp_path)
    pointers = one._pointers  # type: ignore[attr-defined]
    read, reads = pointers._read, []

    def reading(name: str) -> object:
        reads.append(name)
        if len(reads) == 2:  # what one has written is replaced before it looks
            assert other.swap_pointer("p", "x", "y")
        return read(name)

    monkeypatch.setattr(pointers, "_read", reading)
    assert one.swap_pointer("p", None, "x")
    assert one.read_pointer("p") == "y"


def test_a_space_whose_name_is_too_long_is_refused(tmp_path: Path) -> None:
    with pytest.raises(InvalidInput, match="choose a shorter name"):
        local_store(tmp_path).ensure_space(Space("ü" * 60, 4))


def test_what_was_written_is_there_in_another_client(tmp_path: Path) -> None:
    with store_of(QdrantClient(path=str(tmp_path)), closing=True) as store:
        store.ensure_space(SPACE)
        store.put([Draft("a", {"old": AXIS}, {"n": 1})])
        store.swap_pointer("p", None, "here")
        (before,) = store.scan(n=9, vectors=["old"])
    with store_of(QdrantClient(path=str(tmp_path)), closing=True) as store:
        (item,) = store.scan(n=9, vectors=["old"])
        assert (item.id, item.version, item.payload) == ("a", before.version, {"n": 1})
        assert store.spaces() == {"old": SPACE} and store.read_pointer("p") == "here"
        assert store.count() == 1


def test_other_peoples_points_are_not_taken_for_items(tmp_path: Path) -> None:
    client = QdrantClient(":memory:")
    client.create_collection("gallery", vectors_config={})
    client.upsert("gallery", [models.PointStruct(id=1, vector={}, payload={"title": "theirs"})])
    with pytest.raises(StoreError, match="foreign data"):
        store_of(client, closing=True).scan(n=1)
