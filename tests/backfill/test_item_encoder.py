"""A source and a content encoder as one encoder of items, under the job's guard."""

from collections.abc import Sequence
from typing import Any

import numpy as np
import pytest

from crossfade.backfill import Backfill, Retry, item_encoder
from crossfade.embeddings import FloatArray
from crossfade.embeddings.encoders import ContentEncoder, Takes
from crossfade.embeddings.encoders.base import require_text
from crossfade.embeddings.sources import load_source
from crossfade.errors import EncoderMisconfigured, EncoderUnavailable, InvalidInput, SpaceMismatch
from crossfade.gallery import Gallery
from crossfade.gallery.encoding import Encoding
from crossfade.stores import Item
from crossfade.testing import World

TEXTS = load_source("payload:text")


class Lengths(ContentEncoder):
    """Embeds a text by its length; counts its calls."""

    def __init__(self, name: str = "lengths", dim: int | None = 2) -> None:
        self.name, self.dim = name, dim
        self.calls: list[list[Any]] = []

    def prepare(self, content: Any) -> str:
        return require_text(content)

    def encode(self, prepared: Sequence[str]) -> Any:
        self.calls.append(list(prepared))
        return [[len(text), 1] for text in prepared]


def items(*texts: Any) -> list[Item]:
    return [Item(row, 1, {}, {"text": text}) for row, text in enumerate(texts)]


def guarded(encoder: Any, waits: list[float] | None = None, **retry: Any) -> Encoding:
    def wait(seconds: float) -> bool:
        if waits is not None:
            waits.append(seconds)
        return False

    return Encoding(encoder, 2, Retry(**retry), wait)


def test_bad_items_are_told_apart_in_one_call() -> None:
    encoder = Lengths()
    encoded = guarded(item_encoder(TEXTS, encoder)).encode(items("abc", None, "  ", "de"))
    assert {id: row.tolist() for id, row in encoded.vectors.items()} == {0: [3, 1], 3: [2, 1]}
    assert encoded.failures == {
        1: "the payload has no 'text'",
        2: "the content is an empty text",
    }
    assert encoder.calls == [["abc", "de"]]


def test_a_batch_without_any_content_asks_no_model() -> None:
    encoder = Lengths()
    encoded = guarded(item_encoder(TEXTS, encoder)).encode(items(None, None))
    assert set(encoded.failures) == {0, 1} and not encoder.calls


@pytest.mark.parametrize("answer", [[[1, 2]], [1, 2], [[1, 2], [1]], [["a", "b"]] * 2, None])
def test_an_answer_that_is_no_row_for_each_content_stops_the_job(answer: Any) -> None:
    encoder = Lengths()
    encoder.encode = lambda prepared: answer  # type: ignore[method-assign]
    with pytest.raises(EncoderMisconfigured, match=r"lengths returned .* for 2 contents"):
        guarded(item_encoder(TEXTS, encoder)).encode(items("a", "b"))


def test_a_row_of_nan_fails_its_item_alone() -> None:
    encoder = Lengths()
    encoder.encode = lambda prepared: [[1, 2], [1, None], [3, 4]]  # type: ignore[method-assign]
    encoded = guarded(item_encoder(TEXTS, encoder)).encode(items("a", "b", None, "c"))
    assert set(encoded.vectors) == {0, 3}
    assert set(encoded.failures) == {1, 2} and "NaN" in encoded.failures[1]


def test_vectors_of_another_width_stop_the_job() -> None:
    encoder = Lengths()
    encoder.encode = lambda prepared: [[1, 2, 3] for _ in prepared]  # type: ignore[method-assign]
    with pytest.raises(EncoderMisconfigured, match=r"wanted \(2, 2\)"):
        guarded(item_encoder(TEXTS, encoder)).encode(items("a", "b", None))


def test_a_source_that_loses_items_stops_the_job() -> None:
    with pytest.raises(EncoderMisconfigured, match="gave 1 contents for 2 items"):
        guarded(item_encoder(lambda ids, payloads: ["a"], Lengths())).encode(items("a", "b"))


def test_the_ids_are_the_contents_of_an_encoder_that_takes_ids() -> None:
    class ById(Lengths):
        takes = Takes.IDS

        def prepare(self, content: Any) -> Any:
            return str(content)

    encoder = ById()
    guarded(item_encoder(None, encoder)).encode(items("a", "b"))
    assert encoder.calls == [["0", "1"]]


def test_an_encoder_of_items_gets_the_items_unless_a_source_is_given() -> None:
    class Function(Lengths):
        takes = Takes.ITEMS

        def prepare(self, content: Any) -> Any:
            return content

        def encode(self, prepared: Sequence[Any]) -> Any:
            self.calls.append(list(prepared))
            return np.ones((len(prepared), 2))

    encoder, given = Function(), items("a")
    guarded(item_encoder(None, encoder)).encode(given)
    guarded(item_encoder(TEXTS, encoder)).encode(given)
    assert encoder.calls == [given, ["a"]]


def test_an_encoder_of_contents_needs_a_source() -> None:
    with pytest.raises(InvalidInput, match=r"lengths reads contents.*give an item source"):
        item_encoder(None, Lengths())


def test_a_wait_that_was_asked_for_is_kept_and_is_no_attempt() -> None:
    encoder, waits = Lengths(), []
    answers = iter([7.0, 0.0, 30.0])

    def encode(prepared: Sequence[str]) -> Any:
        for seconds in answers:
            raise EncoderUnavailable("busy", retry_after_seconds=seconds)
        return [[1, 1] for _ in prepared]

    encoder.encode = encode  # type: ignore[method-assign]
    guard = guarded(item_encoder(TEXTS, encoder), waits, attempts=1, first_seconds=0.5)
    assert set(guard.encode(items("a")).vectors) == {0}
    assert all(
        asked <= waited <= asked + 0.5
        for asked, waited in zip([7.0, 0.0, 30.0], waits, strict=True)
    )


def test_a_wait_beyond_patience_ends_the_run_and_says_how_long() -> None:
    def busy(items: Sequence[Item]) -> Any:
        raise EncoderUnavailable("quota spent", retry_after_seconds=86_400)

    waits: list[float] = []
    with pytest.raises(EncoderUnavailable, match="asks to wait 86400 s: quota spent"):
        guarded(busy, waits).encode(items("a"))
    assert waits == []


def test_a_misconfigured_encoder_stops_the_job_and_parks_nothing() -> None:
    calls = []

    def refused(items: Sequence[Item]) -> Any:
        calls.append(len(items))
        raise EncoderMisconfigured("the key is refused")

    with pytest.raises(EncoderMisconfigured, match="the key is refused"):
        guarded(refused).encode(items("a", "b"))
    assert calls == [2]


class Rows:
    """The world's new embeddings by payload row, from a model of a given name and width."""

    def __init__(self, world: World, name: str, dim: int) -> None:
        self.name, self.dim, self._world = name, dim, world

    def __call__(self, items: Sequence[Item]) -> FloatArray:
        return np.stack([self._world.gallery.new[item.payload["row"]] for item in items])


def test_another_width_is_refused_before_anything_is_written(
    gallery: Gallery, world: World
) -> None:
    dim = world.gallery.target.dim
    with pytest.raises(SpaceMismatch, match=rf"'m' gives {dim + 1}-d.*\({dim}-d\)"):
        Backfill(gallery, Rows(world, "m", dim + 1)).run()
    assert gallery.coverage == 0 and Backfill(gallery).status().pending == 0


def test_another_model_is_refused_while_vectors_of_the_first_are_stored(
    gallery: Gallery, world: World
) -> None:
    dim = world.gallery.target.dim
    first, second = Rows(world, "model@1", dim), Rows(world, "model@2", dim)
    Backfill(gallery, first).run(max_items=10)
    before = gallery.coverage
    with pytest.raises(EncoderMisconfigured, match=r"began with the model model@1.*model@2"):
        Backfill(gallery, second).run()
    assert gallery.coverage == before
    Backfill(gallery, first).run()
    assert gallery.coverage == 1


def test_a_model_that_wrote_nothing_binds_nobody(gallery: Gallery, world: World) -> None:
    class Away(Rows):
        def __call__(self, items: Sequence[Item]) -> FloatArray:
            raise EncoderUnavailable("away")

    dim = world.gallery.target.dim
    with pytest.raises(EncoderUnavailable):
        Backfill(gallery, Away(world, "model@1", dim), retry=Retry(attempts=1)).run()
    assert Backfill(gallery, Rows(world, "model@2", dim)).run().coverage == 1
