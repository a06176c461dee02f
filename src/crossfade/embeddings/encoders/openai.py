"""``openai:MODEL@URL``: any HTTP endpoint that speaks OpenAI's embeddings protocol.

What a status means: 429 and 503 are waited for as long as ``Retry-After`` says; timeouts,
broken connections and other 5xx may pass; 400, 413 and 422 are about the texts sent; any
other 4xx or a redirect is about the set-up. The key is read from the environment and is in
no message and no ``repr``.
"""

from __future__ import annotations

import os
import re
import threading
import weakref
from collections.abc import Sequence
from typing import Any

import numpy as np

from crossfade.embeddings.encoders.base import ContentEncoder, require_text
from crossfade.embeddings.encoders.retry_after import retry_after_seconds
from crossfade.embeddings.spec import Spec
from crossfade.embeddings.vectors import FloatArray
from crossfade.errors import (
    EncoderError,
    EncoderMisconfigured,
    EncoderUnavailable,
    InvalidInput,
    MissingExtra,
)

__all__ = ["OpenAIEncoder", "openai_encoder"]

_ABOUT_THE_TEXTS = (400, 413, 422)
_MAY_PASS = (408, 425, 429)
_SHOWN_CHARACTERS = 300
_MOST_KEPT = 4096


class OpenAIEncoder(ContentEncoder):
    """A model behind HTTP.

    Args:
        model: its name there.
        url: the endpoint's base, e.g. ``https://host/v1``; ``/embeddings`` is added.
        key: sent as bearer token, or None.
        dimensions: asked for, and wanted back; None takes the model's own width, and holds on
            to the width of the first answer.
        batch: the most texts a request.
        prefix: put before each text, for models that want e.g. ``"passage: "``.
    """

    def __init__(
        self,
        model: str,
        url: str,
        *,
        key: str | None = None,
        dimensions: int | None = None,
        batch: int = 128,
        timeout_seconds: float = 60.0,
        prefix: str = "",
    ) -> None:
        httpx = _httpx()
        self.name = f"openai:{model}" + (f" {dimensions}-d" if dimensions else "")
        self.name += f" after {prefix!r}" if prefix else ""
        self.dim = dimensions
        self._asked = {"dimensions": dimensions} if dimensions else {}
        self._model = model
        self._url = url.rstrip("/") + "/embeddings"
        self._key = key
        self._batch = batch
        self._prefix = prefix
        self._kept: dict[str, FloatArray] = {}
        self._lock = threading.Lock()
        headers = {"Authorization": f"Bearer {key}"} if key else {}
        self._client = httpx.Client(headers=headers, timeout=timeout_seconds)
        weakref.finalize(self, self._client.close)

    def prepare(self, content: Any) -> str:
        """The text to send."""
        return self._prefix + require_text(content)

    def encode(self, prepared: Sequence[str]) -> FloatArray:
        """Ask for embeddings, in as few requests as allowed; equal texts are sent once.

        What was answered before a later request failed is kept for the next attempt: it has
        been paid for.
        """
        rows = self._take_kept(prepared)
        waiting = [text for text in dict.fromkeys(prepared) if text not in rows]
        try:
            for start in range(0, len(waiting), self._batch):
                part = waiting[start : start + self._batch]
                rows.update(zip(part, self._ask(part), strict=True))
        except EncoderError:
            with self._lock:
                self._kept.update(rows)
            raise
        return np.stack([rows[text] for text in prepared])

    def _take_kept(self, texts: Sequence[str]) -> dict[str, FloatArray]:
        with self._lock:
            taken = {text: self._kept.pop(text) for text in set(texts) if text in self._kept}
            if len(self._kept) > _MOST_KEPT:
                self._kept.clear()
        return taken

    def _ask(self, texts: Sequence[str]) -> FloatArray:
        httpx = _httpx()
        body = {"model": self._model, "input": list(texts), "encoding_format": "float"}
        try:
            response = self._client.post(self._url, json={**body, **self._asked})
        except httpx.UnsupportedProtocol as error:
            raise EncoderMisconfigured(f"{self._url}: {error}") from error
        except httpx.TransportError as error:
            kind = type(error).__name__
            raise EncoderUnavailable(f"{self._url} can't be reached: {kind}: {error}") from error
        if not response.is_success:
            raise self._failure(response)
        rows = _rows(_answer(response, self._url), len(texts), self._url)
        self._require_width(rows.shape[1])
        return rows

    def _failure(self, response: Any) -> EncoderError:
        status = response.status_code
        said = _said(response)
        said = said.replace(self._key, "***") if self._key else said
        text = f"{self._url} answered {status}: {said}"
        if status in _MAY_PASS or status >= 500:
            wait = retry_after_seconds(response.headers.get("retry-after"))
            return EncoderUnavailable(text, retry_after_seconds=wait)
        if status in _ABOUT_THE_TEXTS:
            return EncoderError(text)
        return EncoderMisconfigured(f"{text}; check the address, the model's name and the key")

    def _require_width(self, width: int) -> None:
        with self._lock:
            wanted = self.dim if self.dim is not None else width
            self.dim = wanted
        if width != wanted:
            raise EncoderMisconfigured(
                f"{self._url} gave {width}-d embeddings, wanted {wanted}-d"
                + (" as asked for" if self._asked else " as before: has the model changed?")
            )


def openai_encoder(spec: Spec) -> OpenAIEncoder:
    """``openai:MODEL@https://host/v1?key_env=NAME&dimensions=N&batch=N&...``."""
    spec.allow("key_env", "dimensions", "batch", "timeout_seconds", "prefix", "name")
    match = re.fullmatch(r"(.+?)@(https?://[^/@\s]+(?:/\S*)?)", spec.target)
    if match is None:
        # Not quoted: what stands there may be a password.
        raise InvalidInput(
            "openai: wanted openai:MODEL@https://HOST/v1, without user and password in the "
            "address; a key is named by ?key_env=VARIABLE"
        )
    encoder = OpenAIEncoder(
        match[1],
        match[2],
        key=_key(spec.options.get("key_env")),
        dimensions=spec.whole("dimensions"),
        batch=spec.whole("batch", 128) or 128,
        timeout_seconds=spec.numbers("timeout_seconds", "60")[0],
        prefix=spec.options.get("prefix", ""),
    )
    encoder.name = spec.options.get("name", encoder.name)
    return encoder


def _key(variable: str | None) -> str | None:
    if variable is None:
        return None
    key = os.environ.get(variable, "").strip()
    if not key:
        raise InvalidInput(
            "openai: key_env names an environment variable that is not set; it takes the "
            "variable's name, not the key"
        )
    if not (key.isascii() and key.isprintable()):
        raise InvalidInput(f"openai: the key in {variable} holds characters that no header takes")
    return key


def _said(response: Any) -> str:
    try:
        error = response.json()["error"]
        text = error["message"] if isinstance(error, dict) else error
    except (ValueError, KeyError, TypeError):
        text = response.text
    return " ".join(str(text).split())[:_SHOWN_CHARACTERS] or response.reason_phrase


def _answer(response: Any, url: str) -> list[Any]:
    try:
        data = response.json()["data"]
    except (ValueError, KeyError, TypeError) as error:
        raise EncoderMisconfigured(
            f"{url} answered something else than embeddings: {_said(response)!r}; is it the "
            "base of an OpenAI-compatible endpoint?"
        ) from error
    if not isinstance(data, list) or not all(isinstance(entry, dict) for entry in data):
        raise EncoderMisconfigured(f"{url} answered no list of embeddings")
    return data


def _rows(data: list[Any], n: int, url: str) -> FloatArray:
    if len(data) != n:
        raise EncoderMisconfigured(f"{url} gave {len(data)} embeddings for {n} texts")
    order = [entry.get("index", row) for row, entry in enumerate(data)]
    if sorted(map(str, order)) != sorted(map(str, range(n))):
        raise EncoderMisconfigured(f"{url} numbered its {n} embeddings {order[:8]}")
    by_index = {
        int(index): entry.get("embedding") for index, entry in zip(order, data, strict=True)
    }
    try:
        rows = np.asarray([by_index[row] for row in range(n)], dtype=np.float32)
    except (TypeError, ValueError) as error:
        raise EncoderMisconfigured(f"{url} gave embeddings that are no rows: {error}") from error
    if rows.ndim != 2:
        raise EncoderMisconfigured(f"{url} gave embeddings of shape {rows.shape}, wanted ({n}, d)")
    return rows


def _httpx() -> Any:
    try:
        import httpx
    except ImportError as error:
        raise MissingExtra("an encoder behind HTTP", "http") from error
    return httpx
