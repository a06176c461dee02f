"""The guard around the encoder."""

from collections.abc import Sequence
from typing import Any

import numpy as np
import pytest

from crossfade.backfill import Retry
from crossfade.embeddings import FloatArray
from crossfade.errors import EncoderError, EncoderUnavailable
from crossfade.gallery.encoding import Encoding
from crossfade.stores import Item
from crossfade.testing import FakeEncoder

ITEMS = [Item(id, 1, {}, {"row": id}) for id in range(6)]


class Waits:
    """Records pauses instead of making them; gives up after ``patience`` of them."""

    def __init__(self, patience: int = 1000) -> None:
        self.seconds: list[float] = []
        self._patience = patience

    def __call__(self, seconds: float) -> bool:
        self.seconds.append(seconds)
        return len(self.seconds) >= self._patience


def row(item: Item) -> FloatArray:
    return np.eye(6, dtype=np.float32)[item.payload["row"]]


def guarded(encoder: Any, retry: Retry | None = None, wait: Any = None) -> Encoding:
    return Encoding(encoder, 6, retry or Retry(), wait or Waits())


def test_a_batch_is_encoded_in_one_call() -> None:
    encoder = FakeEncoder(row)
    encoded = guarded(encoder).encode(ITEMS)
    assert encoder.calls == 1 and not encoded.failures
    assert all(np.array_equal(encoded.vectors[item.id], row(item)) for item in ITEMS)
    assert guarded(encoder).encode([]).vectors == {} and encoder.calls == 1


def test_a_poisoned_item_is_found_and_the_others_are_encoded() -> None:
    encoder = FakeEncoder(row, poison=[2, 4])
    encoded = guarded(encoder).encode(ITEMS)
    assert set(encoded.vectors) == {0, 1, 3, 5}
    assert encoded.failures == {
        2: "ValueError: item 2 is poisoned",
        4: "ValueError: item 4 is poisoned",
    }


@pytest.mark.parametrize(
    ("value", "reason"), [(np.nan, "NaN"), (np.inf, "infinite"), (0.0, "only zeros")]
)
def test_a_row_that_is_no_embedding_fails_its_item_alone(value: float, reason: str) -> None:
    def encode(items: Sequence[Item]) -> FloatArray:
        rows = np.stack([row(item) for item in items])
        rows[3] = value
        return rows

    encoded = guarded(encode).encode(ITEMS)
    assert set(encoded.vectors) == {0, 1, 2, 4, 5}
    assert list(encoded.failures) == [3] and reason in encoded.failures[3]


@pytest.mark.parametrize(
    "answer",
    [
        np.ones((6, 5)),
        np.ones((5, 6)),
        np.ones(36),
        None,
        "text",
        [[1.0] * 6, [1.0]],
        [["x"] * 6] * 6,
    ],
    ids=lambda answer: type(answer).__name__,
)
def test_an_answer_of_another_shape_stops_the_job(answer: Any) -> None:
    with pytest.raises(EncoderError, match=r"wanted (a matrix )?\(6, 6\)"):
        guarded(lambda items: answer).encode(ITEMS)


def test_lists_and_other_numbers_are_embeddings_too() -> None:
    encoded = guarded(lambda items: [[1] * 6] * len(items)).encode(ITEMS)
    assert encoded.vectors[0].dtype == np.float32


@pytest.mark.parametrize("error", [EncoderUnavailable, ConnectionError, TimeoutError])
def test_an_encoder_that_comes_back_is_waited_for(error: type[Exception]) -> None:
    calls = []

    def encode(items: Sequence[Item]) -> FloatArray:
        calls.append(len(items))
        if len(calls) < 4:
            raise error("away")
        return np.stack([row(item) for item in items])

    waits = Waits()
    encoded = guarded(encode, Retry(attempts=4, first_seconds=1, cap_seconds=3), waits).encode(
        ITEMS
    )
    assert len(encoded.vectors) == 6 and calls == [6] * 4
    longest = [1.0, 2.0, 3.0]
    assert all(top / 2 <= got <= top for got, top in zip(waits.seconds, longest, strict=True))


def test_an_encoder_that_stays_away_is_an_error_and_no_item_is_blamed() -> None:
    encoder = FakeEncoder(row, fail_rate=1.0)
    waits = Waits()
    with pytest.raises(EncoderUnavailable, match="after 3 attempts"):
        guarded(encoder, Retry(attempts=3), waits).encode(ITEMS)
    assert encoder.calls == 3 and len(waits.seconds) == 2


def test_a_stop_ends_the_waiting() -> None:
    encoder = FakeEncoder(row, fail_rate=1.0)
    with pytest.raises(EncoderUnavailable):
        guarded(encoder, Retry(attempts=100), Waits(patience=2)).encode(ITEMS)
    assert encoder.calls == 2


def test_an_interrupt_is_not_taken_for_a_poisoned_item() -> None:
    def encode(items: Sequence[Item]) -> FloatArray:
        raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        guarded(encode).encode(ITEMS)
