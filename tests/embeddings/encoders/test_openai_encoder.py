"""An encoder behind HTTP, against a real server that speaks the protocol."""

import logging
import time
from collections.abc import Iterator
from datetime import UTC, datetime, timedelta
from email.utils import format_datetime
from typing import Any

import numpy as np
import pytest

from crossfade.embeddings.encoders import load_encoder
from crossfade.embeddings.encoders.retry_after import retry_after_seconds
from crossfade.errors import EncoderError, EncoderMisconfigured, EncoderUnavailable, InvalidInput
from crossfade.testing.embedding_server import EmbeddingServer, Refusal

KEY = "sk-very-secret-7f3a"


def embed(text: str) -> list[float]:
    return [len(text), text.count("a"), 1.0, -0.5]


def rows(*texts: str, width: int = 4) -> np.ndarray:  # type: ignore[type-arg]
    return np.array([embed(text)[:width] for text in texts], np.float32)


@pytest.fixture
def server() -> Iterator[EmbeddingServer]:
    with EmbeddingServer(embed) as server:
        yield server


def test_texts_become_rows(server: EmbeddingServer) -> None:
    encoder = load_encoder(f"openai:toy@{server.url}")
    assert (encoder.name, encoder.dim) == ("openai:toy", None)
    np.testing.assert_array_equal(encoder(["banana", "ü"]), rows("banana", "ü"))
    assert encoder.dim == 4
    (request,) = server.requests
    assert request.key is None
    assert request.body == {
        "model": "toy",
        "input": ["banana", "ü"],
        "encoding_format": "float",
    }


def test_batches_keep_to_the_size_asked_for_and_equal_texts_are_sent_once(
    server: EmbeddingServer,
) -> None:
    encoder = load_encoder(f"openai:toy@{server.url}?batch=2")
    texts = ["a", "bb", "a", "ccc", "dddd", "eeeee"]
    np.testing.assert_array_equal(encoder(texts), rows(*texts))
    assert [request.body["input"] for request in server.requests] == [
        ["a", "bb"],
        ["ccc", "dddd"],
        ["eeeee"],
    ]


def test_answers_out_of_order_find_their_texts(server: EmbeddingServer) -> None:
    server.shuffle = True
    encoder = load_encoder(f"openai:toy@{server.url}")
    texts = ["a" * n for n in range(1, 40)]
    np.testing.assert_array_equal(encoder(texts), rows(*texts))


def test_the_width_asked_for_is_the_width_given(server: EmbeddingServer) -> None:
    encoder = load_encoder(f"openai:toy@{server.url}?dimensions=2")
    assert (encoder.dim, encoder.name) == (2, "openai:toy 2-d")
    np.testing.assert_array_equal(encoder(["aa"]), rows("aa", width=2))
    assert server.requests[0].body["dimensions"] == 2


def test_a_prefix_goes_before_each_text_and_into_the_name(server: EmbeddingServer) -> None:
    encoder = load_encoder(f"openai:toy@{server.url}?prefix=passage%3A+")
    encoder(["x"])
    assert server.requests[0].body["input"] == ["passage: x"]
    assert "passage: " in encoder.name
    assert load_encoder(f"openai:toy@{server.url}?name=toy@3").name == "toy@3"


@pytest.mark.parametrize(("status", "wait"), [(429, "2"), (503, "0.5"), (429, None)])
def test_a_busy_server_is_unavailable_for_as_long_as_it_says(
    server: EmbeddingServer, status: int, wait: str | None
) -> None:
    headers = {} if wait is None else {"Retry-After": wait}
    server.refusals.append(Refusal(status, "slow down", headers))
    encoder = load_encoder(f"openai:toy@{server.url}")
    with pytest.raises(EncoderUnavailable, match=f"answered {status}: slow down") as caught:
        encoder(["a"])
    assert caught.value.retry_after_seconds == (None if wait is None else float(wait))
    np.testing.assert_array_equal(encoder(["a"]), rows("a"))


def test_a_time_to_come_back_may_be_a_date() -> None:
    soon = format_datetime(datetime.now(UTC) + timedelta(seconds=30), usegmt=True)
    past = format_datetime(datetime.now(UTC) - timedelta(seconds=30), usegmt=True)
    waited = retry_after_seconds(soon)
    assert waited is not None and 25 < waited <= 30
    assert retry_after_seconds(past) == 0 == retry_after_seconds("-3")
    for nonsense in (None, "", "soon", "nan", "inf", "99 Nov 2026"):
        assert retry_after_seconds(nonsense) is None


@pytest.mark.parametrize("status", [408, 500, 502, 504, 529])
def test_a_failing_server_may_come_back(server: EmbeddingServer, status: int) -> None:
    server.refusals.append(Refusal(status))
    with pytest.raises(EncoderUnavailable, match=f"answered {status}"):
        load_encoder(f"openai:toy@{server.url}")(["a"])


def test_a_slow_server_is_given_up_for_now(server: EmbeddingServer) -> None:
    server.latency_seconds = 2.0
    encoder = load_encoder(f"openai:toy@{server.url}?timeout_seconds=0.2")
    started = time.monotonic()
    with pytest.raises(EncoderUnavailable, match="ReadTimeout"):
        encoder(["a"])
    assert time.monotonic() - started < 1.5
    server.latency_seconds = 0.0
    np.testing.assert_array_equal(encoder(["a"]), rows("a"))


def test_nobody_at_the_address_is_unavailable() -> None:
    with EmbeddingServer(embed) as server:
        url = server.url
    with pytest.raises(EncoderUnavailable, match="can't be reached: ConnectError"):
        load_encoder(f"openai:toy@{url}")(["a"])


@pytest.mark.parametrize("status", [400, 413, 422])
def test_a_refusal_of_the_texts_blames_the_texts(server: EmbeddingServer, status: int) -> None:
    server.refusals.append(Refusal(status, "maximum context length is 8192 tokens"))
    with pytest.raises(EncoderError, match="maximum context length") as caught:
        load_encoder(f"openai:toy@{server.url}")(["a"])
    assert type(caught.value) is EncoderError


@pytest.mark.parametrize("status", [401, 403, 404, 301, 410])
def test_a_refusal_of_the_set_up_blames_no_text(server: EmbeddingServer, status: int) -> None:
    server.refusals.append(Refusal(status, "no such model"))
    with pytest.raises(EncoderMisconfigured, match=f"{status}: no such model; check the address"):
        load_encoder(f"openai:toy@{server.url}")(["a"])


def test_what_was_answered_before_a_failure_is_not_paid_for_twice(
    server: EmbeddingServer,
) -> None:
    encoder = load_encoder(f"openai:toy@{server.url}?batch=2")
    texts = ["a", "bb", "ccc", "dddd", "eeeee"]
    failed_once = []

    def refuse(text: str) -> Refusal | None:
        if text == "eeeee" and not failed_once:
            failed_once.append(text)
            return Refusal(500)
        return None

    server.refuse = refuse
    with pytest.raises(EncoderUnavailable):
        encoder(texts)
    np.testing.assert_array_equal(encoder(texts), rows(*texts))
    sent = [text for request in server.requests for text in request.body["input"]]
    assert sent == [*texts, "eeeee"]
    encoder(["a"])
    assert server.requests[-1].body["input"] == ["a"]


def drop_one(answer: dict[str, Any]) -> Any:
    return {**answer, "data": answer["data"][:-1]}


def number_twice(answer: dict[str, Any]) -> Any:
    return {**answer, "data": [{**entry, "index": 0} for entry in answer["data"]]}


def ragged(answer: dict[str, Any]) -> Any:
    first, *rest = answer["data"]
    return {**answer, "data": [{**first, "embedding": [1.0]}, *rest]}


def flat(answer: dict[str, Any]) -> Any:
    return {**answer, "data": [{**entry, "embedding": 1.0} for entry in answer["data"]]}


def strange(answer: dict[str, Any]) -> Any:
    return {**answer, "data": [{**entry, "embedding": ["x"]} for entry in answer["data"]]}


@pytest.mark.parametrize(
    ("change", "why"),
    [
        (drop_one, "gave 1 embeddings for 2 texts"),
        (number_twice, r"numbered its 2 embeddings \[0, 0\]"),
        (ragged, "gave embeddings that are no rows"),
        (flat, r"embeddings of shape \(2,\)"),
        (strange, "gave embeddings that are no rows"),
        (lambda answer: {"result": answer}, "answered something else than embeddings"),
        (lambda answer: [answer], "answered something else than embeddings"),
        (lambda answer: {"data": "text"}, "answered no list of embeddings"),
    ],
)
def test_an_answer_of_another_form_says_what_is_wrong(
    server: EmbeddingServer, change: Any, why: str
) -> None:
    server.change = change
    with pytest.raises(EncoderMisconfigured, match=why):
        load_encoder(f"openai:toy@{server.url}")(["a", "bb"])


def test_a_page_instead_of_json_says_what_came(server: EmbeddingServer) -> None:
    server.raw = b"<html>please log in</html>"
    with pytest.raises(EncoderMisconfigured, match="please log in"):
        load_encoder(f"openai:toy@{server.url}")(["a"])


def test_another_width_than_asked_for_or_than_before_is_refused(server: EmbeddingServer) -> None:
    plain = load_encoder(f"openai:toy@{server.url}")
    asking = load_encoder(f"openai:toy@{server.url}?dimensions=4")
    plain(["a"])
    server.change = lambda answer: {
        **answer,
        "data": [{**entry, "embedding": entry["embedding"][:3]} for entry in answer["data"]],
    }
    with pytest.raises(EncoderMisconfigured, match="gave 3-d embeddings, wanted 4-d as before"):
        plain(["bb"])
    with pytest.raises(EncoderMisconfigured, match="gave 3-d embeddings, wanted 4-d as asked for"):
        asking(["bb"])


def test_nan_and_null_stay_nan_for_the_guard_to_park(server: EmbeddingServer) -> None:
    def spoil(answer: dict[str, Any]) -> Any:
        answer["data"][0]["embedding"][1] = float("nan")
        answer["data"][1]["embedding"][2] = None
        return answer

    server.change = spoil
    got = load_encoder(f"openai:toy@{server.url}")(["a", "b", "c"])
    assert np.isnan(got).any(axis=1).tolist() == [True, True, False]


def test_the_key_is_sent_and_never_told(
    monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    monkeypatch.setenv("TOY_KEY", KEY + "\n")
    caplog.set_level(logging.DEBUG)
    with EmbeddingServer(embed, key=KEY) as server:
        encoder = load_encoder(f"openai:toy@{server.url}?key_env=TOY_KEY")
        encoder(["a"])
        assert server.requests[0].key == KEY
        # A server that repeats the key it was sent.
        server.refusals.append(Refusal(403, f"key {KEY} may not"))
        with pytest.raises(EncoderMisconfigured, match=r"key \*\*\* may not") as caught:
            encoder(["b"])
    assert KEY not in f"{caught.value!r} {encoder!r} {encoder.name}"
    assert KEY not in caplog.text


def test_a_wrong_key_stops_everything(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("TOY_KEY", "sk-wrong")
    with (
        EmbeddingServer(embed, key=KEY) as server,
        pytest.raises(EncoderMisconfigured, match=r"401: Incorrect API key provided: \*\*\*"),
    ):
        load_encoder(f"openai:toy@{server.url}?key_env=TOY_KEY")(["a"])


@pytest.mark.parametrize(
    ("spec", "why"),
    [
        ("openai:toy", "wanted openai:MODEL@https://HOST/v1"),
        ("openai:toy@ftp://host/v1", "wanted openai:MODEL@https://HOST/v1"),
        ("openai:@http://host/v1", "wanted openai:MODEL@https://HOST/v1"),
        ("openai:toy@http://me:sk-abc@host/v1", "without user and password"),
        ("openai:toy@http://host/v1?key_env=NO_SUCH_VARIABLE", "that is not set"),
        ("openai:toy@http://host/v1?key_env=sk-abc", "takes the variable's name"),
        ("openai:toy@http://host/v1?batch=0", "batch is '0'"),
        ("openai:toy@http://host/v1?key=sk-abc", "has no option 'key'"),
    ],
)
def test_a_spec_that_can_t_work_says_why_without_secrets(spec: str, why: str) -> None:
    with pytest.raises(InvalidInput, match=why) as caught:
        load_encoder(spec)
    assert "sk-abc" not in str(caught.value)


def test_a_key_that_no_header_takes_is_refused(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("TOY_KEY", "sk-ü")
    with pytest.raises(InvalidInput, match="characters that no header takes") as caught:
        load_encoder("openai:toy@http://127.0.0.1:9/v1?key_env=TOY_KEY")
    assert "sk-ü" not in str(caught.value)


@pytest.mark.parametrize("content", [b"bytes", None, 3, "", " \n"])
def test_a_content_that_is_no_text_is_refused_alone(content: Any) -> None:
    encoder = load_encoder("openai:toy@http://127.0.0.1:9/v1")
    with pytest.raises(EncoderError, match="the content is"):
        encoder.prepare(content)
