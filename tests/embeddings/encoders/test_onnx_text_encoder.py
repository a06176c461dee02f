"""Text models in ONNX form: real files, real runtime, real tokenizer."""

from pathlib import Path
from typing import Any

import numpy as np
import pytest
from onnx import TensorProto
from onnx_models import mean_colour, table_rows, token_rows, tokenizer

from crossfade.embeddings.encoders import load_encoder
from crossfade.errors import EncoderError, EncoderMisconfigured, InvalidInput

BERT = ("input_ids", "attention_mask", "token_type_ids")


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    token_rows(tmp_path / "m.onnx")
    tokenizer(tmp_path / "tokenizer.json")
    return tmp_path


def test_texts_become_the_mean_of_their_tokens_whatever_stands_beside_them(folder: Path) -> None:
    encoder = load_encoder(f"onnx-text:{folder}/m.onnx")
    got = encoder(["red", "red green blue"])
    np.testing.assert_allclose(got[0], table_rows("[CLS]", "red", "[SEP]").mean(0), atol=1e-6)
    wanted = table_rows("[CLS]", "red", "green", "blue", "[SEP]").mean(0)
    np.testing.assert_allclose(got[1], wanted, atol=1e-6)
    assert encoder.dim == 5 and encoder.name.startswith("onnx-text:m.onnx@")


@pytest.mark.parametrize(
    ("pooling", "reduce"),
    [
        ("cls", lambda rows: rows[0]),
        ("last", lambda rows: rows[-1]),
        ("max", lambda rows: rows.max(0)),
        ("mean", lambda rows: rows.mean(0)),
    ],
)
def test_every_pooling_leaves_the_padding_out(folder: Path, pooling: str, reduce: Any) -> None:
    encoder = load_encoder(f"onnx-text:{folder}/m.onnx?pooling={pooling}")
    got = encoder(["green", "red green blue red"])
    np.testing.assert_allclose(got[0], reduce(table_rows("[CLS]", "green", "[SEP]")), atol=1e-6)


@pytest.mark.parametrize(
    ("names", "kind", "shape"),
    [
        (BERT, TensorProto.INT64, ("n", "t")),
        (BERT, TensorProto.INT32, ("n", "t")),
        (("input_ids",), TensorProto.INT64, ("n", "t")),
        (BERT, TensorProto.INT64, (2, 6)),
    ],
    ids=["bert", "int32", "ids only", "fixed batch and length"],
)
def test_the_model_gets_the_inputs_it_asks_for(
    folder: Path, names: Any, kind: int, shape: Any
) -> None:
    token_rows(folder / "m.onnx", names, kind, shape)
    texts = ["red", "green blue", "blue"]
    got = load_encoder(f"onnx-text:{folder}/m.onnx")(texts)
    wanted = [table_rows("[CLS]", *text.split(), "[SEP]").mean(0) for text in texts]
    np.testing.assert_allclose(got, wanted, atol=1e-6)


def test_long_texts_are_cut_off(folder: Path) -> None:
    encoder = load_encoder(f"onnx-text:{folder}/m.onnx?max_length=4")
    got = encoder(["red green " + "blue " * 50])
    np.testing.assert_allclose(got[0], table_rows("[CLS]", "red", "green", "[SEP]").mean(0), 1e-5)


def test_a_prefix_goes_before_each_text_and_into_the_name(folder: Path) -> None:
    plain = load_encoder(f"onnx-text:{folder}/m.onnx")
    with_prefix = load_encoder(f"onnx-text:{folder}/m.onnx?prefix=passage+")
    np.testing.assert_array_equal(with_prefix(["red"]), plain(["passage red"]))
    assert with_prefix.name != plain.name
    names = {
        load_encoder(f"onnx-text:{folder}/m.onnx?{options}").name
        for options in ("pooling=cls", "max_length=9", "threads=1", "threads=2")
    }
    assert len(names) == 3 and plain.name in names


def test_the_tokenizer_may_lie_elsewhere_and_must_be_one(folder: Path) -> None:
    (folder / "tokenizer.json").rename(folder / "other.json")
    with pytest.raises(InvalidInput, match=r"there is no tokenizer .*tokenizer.json"):
        load_encoder(f"onnx-text:{folder}/m.onnx")
    assert load_encoder(f"onnx-text:{folder}/m.onnx?tokenizer={folder}/other.json").dim == 5
    (folder / "other.json").write_text("{}")
    with pytest.raises(EncoderMisconfigured, match=r"is no tokenizer\.json"):
        load_encoder(f"onnx-text:{folder}/m.onnx?tokenizer={folder}/other.json")


def test_a_model_of_something_else_is_refused(folder: Path) -> None:
    mean_colour(folder / "image.onnx")
    with pytest.raises(EncoderMisconfigured, match="wants the input 'images'"):
        load_encoder(f"onnx-text:{folder}/image.onnx")


def test_a_token_the_model_does_not_know_is_the_set_up_s_fault(folder: Path) -> None:
    text = (folder / "tokenizer.json").read_text().replace('"blue": 6', '"blue": 600')
    (folder / "tokenizer.json").write_text(text)
    with pytest.raises(EncoderMisconfigured, match=r"m\.onnx failed"):
        load_encoder(f"onnx-text:{folder}/m.onnx")(["blue"])


@pytest.mark.parametrize("content", ["", "  ", b"red", None, 7])
def test_a_content_that_is_no_text_is_refused_alone(folder: Path, content: Any) -> None:
    with pytest.raises(EncoderError, match="the content is"):
        load_encoder(f"onnx-text:{folder}/m.onnx").prepare(content)
