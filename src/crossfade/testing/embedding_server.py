"""A real HTTP server on this machine that speaks OpenAI's embeddings protocol, with dials.

    with EmbeddingServer(embed) as server:
        encoder = load_encoder(f"openai:toy@{server.url}")

The dials may be turned while it runs.
"""

from __future__ import annotations

import json
import random
import threading
import time
from collections import deque
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from types import TracebackType
from typing import Any, Self

__all__ = ["EmbeddingServer", "Refusal", "Request"]


@dataclass(frozen=True)
class Refusal:
    """An answer that is no embeddings.

    Attributes:
        status: e.g. 429.
        message: in OpenAI's form of an error.
        headers: e.g. ``{"Retry-After": "2"}``.
    """

    status: int
    message: str = "refused"
    headers: dict[str, str] = field(default_factory=dict)


@dataclass(frozen=True)
class Request:
    """A request that came in: its path, its bearer token, and its body."""

    path: str
    key: str | None
    body: dict[str, Any]


class EmbeddingServer:
    """Serves embeddings on 127.0.0.1, at a free port.

    Args:
        embed: the embedding of a text; asked for ``dimensions``, it is cut off there.
        key: the bearer token wanted, or None for anybody.

    Attributes:
        refusals: what the next requests get instead, first come first served.
        refuse: what to answer a request with a text, or None to embed it.
        latency_seconds: how long a request takes.
        shuffle: give the embeddings in random order, with their index.
        change: may alter an answer's JSON before it is sent.
        raw: sent as the body of all answers, if set.
        requests: all that came in.
    """

    def __init__(self, embed: Callable[[str], Sequence[float]], *, key: str | None = None) -> None:
        self.refusals: deque[Refusal] = deque()
        self.refuse: Callable[[str], Refusal | None] = lambda text: None  # noqa: ARG005
        self.latency_seconds = 0.0
        self.shuffle = False
        self.change: Callable[[dict[str, Any]], Any] = lambda answer: answer
        self.raw: bytes | None = None
        self.requests: list[Request] = []
        self._embed = embed
        self._key = key
        self._random = random.Random(0)
        self._server = ThreadingHTTPServer(("127.0.0.1", 0), self._handler())
        self._server.daemon_threads = True
        self._thread = threading.Thread(target=self._server.serve_forever, args=(0.05,))

    @property
    def url(self) -> str:
        """The endpoint's base."""
        return f"http://127.0.0.1:{self._server.server_port}/v1"

    def answer(self, request: Request) -> dict[str, Any] | Refusal:
        """What a request is answered with."""
        if request.path != "/v1/embeddings":
            return Refusal(404, f"there is nothing at {request.path}")
        if self._key is not None and request.key != self._key:
            return Refusal(401, f"Incorrect API key provided: {request.key}")
        if self.refusals:
            return self.refusals.popleft()
        texts = request.body["input"]
        for refusal in map(self.refuse, texts):
            if refusal is not None:
                return refusal
        width = request.body.get("dimensions")
        data = [
            {"object": "embedding", "index": row, "embedding": list(self._embed(text))[:width]}
            for row, text in enumerate(texts)
        ]
        if self.shuffle:
            self._random.shuffle(data)
        return {"object": "list", "data": data, "model": request.body["model"]}

    def _handler(self) -> type[BaseHTTPRequestHandler]:
        outer = self

        class Handler(BaseHTTPRequestHandler):
            protocol_version = "HTTP/1.1"

            def do_POST(self) -> None:
                length = int(self.headers.get("Content-Length", 0))
                scheme, _, key = self.headers.get("Authorization", "").partition(" ")
                body = json.loads(self.rfile.read(length))
                request = Request(self.path, key if scheme == "Bearer" else None, body)
                outer.requests.append(request)
                time.sleep(outer.latency_seconds)
                answer = outer.answer(request)
                if isinstance(answer, Refusal):
                    error = {"error": {"message": answer.message, "type": "refused"}}
                    self.respond(answer.status, json.dumps(error).encode(), answer.headers)
                else:
                    text = json.dumps(outer.change(answer)).encode()
                    self.respond(200, text if outer.raw is None else outer.raw, {})

            def respond(self, status: int, body: bytes, headers: dict[str, str]) -> None:
                self.send_response(status)
                for name, value in headers.items():
                    self.send_header(name, value)
                self.send_header("Content-Type", "application/json")
                self.send_header("Content-Length", str(len(body)))
                self.end_headers()
                try:
                    self.wfile.write(body)
                except ConnectionError:
                    self.close_connection = True  # the client waits no longer

            def log_message(self, format: str, *arguments: Any) -> None:
                """Say nothing: keys may be in it."""

        return Handler

    def __enter__(self) -> Self:
        self._thread.start()
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        self._server.shutdown()
        self._server.server_close()
        self._thread.join()
