"""Models of sentence-transformers, built on the spot; importing the package takes seconds."""

import socket
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from onnx_models import TABLE, WORDS, table_rows, tokenizer

from crossfade.embeddings.encoders import load_encoder
from crossfade.errors import EncoderError, EncoderMisconfigured, InvalidInput

pytestmark = pytest.mark.slow


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    package = pytest.importorskip(
        "sentence_transformers", reason="an extra, large, not in the lock"
    )
    from sentence_transformers.sentence_transformer.modules import StaticEmbedding
    from tokenizers import Tokenizer

    path = tmp_path_factory.mktemp("model")
    words = Tokenizer.from_file(str(tokenizer(path / "words.json")))
    model = package.SentenceTransformer(
        modules=[StaticEmbedding(words, embedding_weights=TABLE)],
        prompts={"passage": "passage "},
        device="cpu",
    )
    model.save(str(path / "tiny"), create_model_card=False)
    return path / "tiny"


def test_texts_become_rows(folder: Path) -> None:
    encoder = load_encoder(f"sentence-transformers:{folder}?device=cpu&batch=2")
    got = encoder(["red", "red green blue", "blue"])
    wanted = [table_rows("red"), table_rows("red", "green", "blue"), table_rows("blue")]
    np.testing.assert_allclose(got, [rows.mean(0) for rows in wanted], atol=1e-6)
    assert encoder.dim == TABLE.shape[1] and len(WORDS) == len(TABLE)
    assert encoder.name.startswith("sentence-transformers:tiny@")


def test_a_prompt_of_the_model_is_used_and_named(folder: Path) -> None:
    plain = load_encoder(f"sentence-transformers:{folder}?device=cpu")
    prompted = load_encoder(f"sentence-transformers:{folder}?device=cpu&prompt=passage")
    np.testing.assert_allclose(prompted(["red"]), plain(["passage red"]), atol=1e-6)
    assert prompted.name != plain.name
    with pytest.raises(EncoderMisconfigured, match=r"has no prompt 'other'; it has .*passage"):
        load_encoder(f"sentence-transformers:{folder}?device=cpu&prompt=other")


def test_other_weights_are_another_name(folder: Path, tmp_path: Path) -> None:
    copy = tmp_path / "tiny"
    for file in folder.rglob("*"):
        if file.is_file():
            (copy / file.relative_to(folder)).parent.mkdir(parents=True, exist_ok=True)
            (copy / file.relative_to(folder)).write_bytes(file.read_bytes())
    same = load_encoder(f"sentence-transformers:{copy}?device=cpu").name
    assert same == load_encoder(f"sentence-transformers:{folder}?device=cpu").name
    (weights,) = copy.rglob("*.safetensors")
    weights.write_bytes(weights.read_bytes()[:-4] + b"\0\0\0\0")
    assert load_encoder(f"sentence-transformers:{copy}?device=cpu").name != same


def test_a_model_that_is_not_here_is_not_fetched(monkeypatch: pytest.MonkeyPatch) -> None:
    pytest.importorskip("sentence_transformers", reason="an extra, large, not in the lock")

    def refuse(*arguments: Any, **options: Any) -> Any:
        raise AssertionError("the network was used")

    monkeypatch.setattr(socket.socket, "connect", refuse)
    with pytest.raises(EncoderMisconfigured, match=r"from this machine: .*nothing is downloaded"):
        load_encoder("sentence-transformers:nobody/no-such-model?device=cpu")


@pytest.mark.parametrize("content", ["", None, 3, b"no image"])
def test_a_content_that_can_t_be_read_is_refused_alone(folder: Path, content: Any) -> None:
    with pytest.raises(EncoderError, match="the content"):
        load_encoder(f"sentence-transformers:{folder}?device=cpu").prepare(content)


def test_unknown_options_are_refused() -> None:
    with pytest.raises(InvalidInput, match="has no option 'size'"):
        load_encoder("sentence-transformers:model?size=3")
