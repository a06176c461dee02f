"""Specs of encoders and sources, taken apart."""

import pytest

from crossfade.embeddings.spec import Spec, parse_spec
from crossfade.errors import InvalidInput


def test_a_spec_has_a_kind_a_target_and_options() -> None:
    spec = parse_spec("onnx-image:models/a b.onnx?size=224&mean=1,2,3&name=a%26b")
    assert spec == Spec(
        "onnx-image", "models/a b.onnx", {"size": "224", "mean": "1,2,3", "name": "a&b"}
    )
    assert parse_spec("id") == Spec("id", "", {})
    assert parse_spec("openai:m@http://[::1]:80/v1").target == "m@http://[::1]:80/v1"


@pytest.mark.parametrize("text", ["a:b?x", "a:b?x=1&y", "a:b?x=1&x=2"])
def test_options_of_another_form_are_refused(text: str) -> None:
    with pytest.raises(InvalidInput, match=r"options must be|given twice: x, x"):
        parse_spec(text)


def test_options_are_read_by_type_or_refused() -> None:
    spec = parse_spec("k:t?size=12&mean=1.5,2&as=text&empty=&zero=0")
    assert (spec.whole("size"), spec.whole("other", 3)) == (12, 3)
    assert spec.numbers("mean", "0") == [1.5, 2.0] and spec.numbers("std", "7") == [7.0]
    assert spec.choice("as", ("text", "path"), "path") == "text"
    assert (spec.text("as"), spec.text("absent", "default")) == ("text", "default")
    for wrong in (
        lambda: spec.whole("mean"),
        lambda: spec.whole("zero"),
        lambda: spec.numbers("as", "0"),
        lambda: spec.choice("as", ("path",), "path"),
        lambda: spec.text("empty"),
        lambda: spec.text("absent"),
        lambda: spec.allow("size"),
    ):
        with pytest.raises(InvalidInput, match=r"^k: "):
            wrong()
