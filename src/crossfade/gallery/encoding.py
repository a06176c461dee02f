"""Calling the user's encoder: its answers are checked, its failures sorted.

A failure that may pass (:class:`EncoderUnavailable`, ``ConnectionError``, ``TimeoutError``) is
tried again after growing, jittered pauses. Any other is laid to single items by encoding one
by one; what still fails is reported with its reason, and the rest goes on. An encoder that
knows which items it can't read says so at once (:class:`Encoded`), and none is encoded twice.
"""

from __future__ import annotations

import random
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from typing import Any, Protocol

import numpy as np

from crossfade.embeddings import FloatArray
from crossfade.embeddings.vectors import usable_rows
from crossfade.errors import (
    CrossfadeError,
    EncoderMisconfigured,
    EncoderUnavailable,
    InvalidInput,
)
from crossfade.stores import Id, Item

__all__ = ["Encoded", "Encoder", "Encoding", "Retry", "require_callable"]


class Encoder(Protocol):
    """The new model: embeds items by what their payloads hold."""

    def __call__(self, items: Sequence[Item], /) -> Any:
        """Embeddings ``(n, d_new)``, a row an item; or :class:`Encoded`, if some have none."""
        ...


def require_callable(encoder: object) -> None:
    """Refuse an encoder that is none, such as the SPEC that commands take.

    Raises:
        InvalidInput: it can't be called.
    """
    if not callable(encoder):
        raise InvalidInput(
            f"the encoder is a {type(encoder).__name__}, wanted a function of items; what commands "
            "take as --encoder, crossfade.backfill.load_item_encoder(SPEC) makes one of"
        )


@dataclass(frozen=True)
class Retry:
    """How often an encoder that can't be reached is tried, and how long it is waited for.

    The pause doubles from ``first_seconds`` up to ``cap_seconds``; half of it is random. Where
    the other side says how long to wait, that is waited and a little more, and is no attempt;
    all such waits for one batch together last ``asked_cap_seconds`` at most.
    """

    attempts: int = 6
    first_seconds: float = 0.5
    cap_seconds: float = 30.0
    asked_cap_seconds: float = 900.0

    def pause_seconds(self, attempt: int) -> float:
        """How long to wait after the given failed attempt, counted from 1."""
        longest = min(self.cap_seconds, self.first_seconds * 2.0 ** (attempt - 1))
        return longest * random.uniform(0.5, 1.0)

    def asked_pause_seconds(self, asked_seconds: float) -> float:
        """How long to wait when asked to: workers that were told the same come back apart."""
        return asked_seconds + self.first_seconds * random.uniform(0.0, 1.0)


@dataclass(frozen=True, eq=False)
class Encoded:
    """Embeddings by id, and why there is none for the others."""

    vectors: dict[Id, FloatArray] = field(default_factory=dict)
    failures: dict[Id, str] = field(default_factory=dict)


class Encoding:
    """An encoder with its guard.

    Args:
        dim: d_new, the width wanted.
        wait: waits so many seconds and returns whether to give up meanwhile.
    """

    def __init__(
        self, encoder: Encoder, dim: int, retry: Retry, wait: Callable[[float], bool]
    ) -> None:
        self._encoder = encoder
        self._dim = dim
        self._retry = retry
        self._wait = wait

    def encode(self, items: Sequence[Item]) -> Encoded:
        """Embed items.

        Raises:
            EncoderUnavailable: it could not be reached, however often it was tried.
            EncoderMisconfigured: it returned something that is no matrix ``(n, d_new)``, or
                says that it can't work as it is set up.
        """
        if not items:
            return Encoded()
        try:
            return self._checked(items)
        except _Poisoned as error:
            if len(items) == 1:
                return Encoded(failures={items[0].id: str(error)})
        single = [self.encode([item]) for item in items]
        vectors = {id: row for one in single for id, row in one.vectors.items()}
        failures = {id: reason for one in single for id, reason in one.failures.items()}
        return Encoded(vectors, failures)

    def _checked(self, items: Sequence[Item]) -> Encoded:
        answer = self._call(items)
        if isinstance(answer, Encoded):
            known = [item for item in items if item.id in answer.vectors]
            rows = [answer.vectors[item.id] for item in known]
            encoded = self._usable(known, rows) if known else Encoded()
            return Encoded(encoded.vectors, {**answer.failures, **encoded.failures})
        return self._usable(items, answer)

    def _usable(self, items: Sequence[Item], answer: Any) -> Encoded:
        rows = _as_matrix(answer, len(items), self._dim)
        usable = usable_rows(rows)
        encoded = Encoded()
        for item, row, fine in zip(items, rows, usable, strict=True):
            if fine:
                encoded.vectors[item.id] = row
            else:
                what = "NaN or an infinite value" if not np.isfinite(row).all() else "only zeros"
                encoded.failures[item.id] = f"the encoder returned {what}"
        return encoded

    def _call(self, items: Sequence[Item]) -> Any:
        attempts, asked_seconds = 0, 0.0
        while True:
            try:
                return self._encoder(items)
            except (EncoderUnavailable, ConnectionError, TimeoutError) as error:
                asked = getattr(error, "retry_after_seconds", None)
                if asked is None:
                    attempts += 1
                    hopeless = attempts >= self._retry.attempts
                    pause = self._retry.pause_seconds(attempts)
                else:
                    pause = self._retry.asked_pause_seconds(asked)
                    asked_seconds += pause
                    hopeless = asked_seconds > self._retry.asked_cap_seconds
                if hopeless or self._wait(pause):
                    raise _gone(error, attempts, asked) from error
            except EncoderMisconfigured:
                raise
            except Exception as error:
                raise _Poisoned(_words(error)) from error


def _gone(error: Exception, attempts: int, asked: float | None) -> EncoderUnavailable:
    tries = f"after {attempts} attempts" if asked is None else f"and asks to wait {asked:.0f} s"
    return EncoderUnavailable(
        f"the encoder can't be reached {tries}: {_words(error)}; "
        "nothing is lost, run the job again when it is back",
        retry_after_seconds=asked,
    )


class _Poisoned(Exception):
    """The encoder failed on what it was given."""


def _as_matrix(answer: Any, n: int, dim: int) -> FloatArray:
    try:
        rows = np.asarray(answer, dtype=np.float32)
    except (TypeError, ValueError) as error:
        raise EncoderMisconfigured(
            f"the encoder returned {type(answer).__name__}, wanted a matrix ({n}, {dim}): {error}"
        ) from error
    if rows.shape != (n, dim):
        raise EncoderMisconfigured(
            f"the encoder returned shape {rows.shape} for {n} items, wanted ({n}, {dim}): one "
            "row an item, of the new space's width. Is it the upgrade's new model?"
        )
    return rows


def _words(error: Exception) -> str:
    if isinstance(error, CrossfadeError):
        return str(error)
    return f"{type(error).__name__}: {error}"
