"""``onnx-text:PATH``: a text model in ONNX form, with its tokenizer."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np

from crossfade.embeddings.encoders.base import ContentEncoder, require_text
from crossfade.embeddings.encoders.onnx_model import OnnxModel, file_digest
from crossfade.embeddings.encoders.pooling import POOLINGS, pooled
from crossfade.embeddings.spec import Spec
from crossfade.embeddings.vectors import FloatArray
from crossfade.errors import EncoderMisconfigured, InvalidInput, MissingExtra

__all__ = ["OnnxTextEncoder", "onnx_text_encoder"]

_MEANINGS = {"input_ids": "ids", "attention_mask": "attention_mask", "token_type_ids": "type_ids"}
"""What the inputs of text models are called, and the tokenizer's word for it."""
_PADDING = ("[PAD]", "<pad>", "<|padding|>", "<|endoftext|>", "</s>")


class OnnxTextEncoder(ContentEncoder):
    """A text model; contents are texts.

    Args:
        tokenizer: of the package tokenizers, set to cut off and to pad.
        prefix: put before each text, for models that want e.g. ``"passage: "``.
    """

    def __init__(
        self, model: OnnxModel, tokenizer: Any, pooling: str, prefix: str, name: str
    ) -> None:
        self.name = name
        self.dim = model.dim
        self._model = model
        self._tokenizer = tokenizer
        self._pooling = pooling
        self._prefix = prefix
        if unknown := sorted(set(model.inputs) - set(_MEANINGS)):
            raise EncoderMisconfigured(
                f"{model.path} wants the input {unknown[0]!r}; text models get "
                f"{', '.join(_MEANINGS)}"
            )

    def prepare(self, content: Any) -> str:
        """The text, with the prefix."""
        return self._prefix + require_text(content)

    def encode(self, prepared: Sequence[str]) -> FloatArray:
        """Tokenise ``n`` texts to the length of the longest, run the model, pool."""
        encodings = self._tokenizer.encode_batch(list(prepared))
        mask = np.array([one.attention_mask for one in encodings])
        feeds = {
            name: np.array([getattr(one, _MEANINGS[name]) for one in encodings]).astype(
                self._model.type_of(name)
            )
            for name in self._model.inputs
        }
        return pooled(self._model.run(feeds), mask, self._pooling, self.name)


def onnx_text_encoder(spec: Spec) -> OnnxTextEncoder:
    """``onnx-text:PATH?tokenizer=PATH&pooling=mean&max_length=256&...``."""
    spec.allow("tokenizer", "pooling", "max_length", "prefix", "output", "threads", "name")
    path = Path(spec.target)
    model = OnnxModel(path, spec.options.get("output"), spec.whole("threads"))
    file = Path(spec.text("tokenizer", str(path.with_name("tokenizer.json"))))
    length = spec.whole("max_length", 256) or 256
    tokenizer = _tokenizer(file, length, _fixed_length(model))
    pooling = spec.choice("pooling", POOLINGS, "mean")
    prefix = spec.options.get("prefix", "")
    settings = {
        "tokenizer": file_digest(file, {}),
        "max_length": length,
        "pooling": pooling,
        "prefix": prefix,
        "output": spec.options.get("output"),
    }
    name = spec.options.get("name") or f"onnx-text:{path.name}@{file_digest(path, settings)}"
    return OnnxTextEncoder(model, tokenizer, pooling, prefix, name)


def _tokenizer(file: Path, max_length: int, fixed: int | None) -> Any:
    try:
        from tokenizers import Tokenizer
    except ImportError as error:
        raise MissingExtra("an ONNX text encoder", "onnx") from error
    if not file.is_file():
        raise InvalidInput(f"onnx-text: there is no tokenizer {file}; name it by ?tokenizer=PATH")
    try:
        tokenizer = Tokenizer.from_file(str(file))
    except Exception as error:  # the package raises plain Exception
        raise EncoderMisconfigured(f"{file} is no tokenizer.json: {error}") from error
    tokenizer.enable_truncation(max_length if fixed is None else min(max_length, fixed))
    known = tokenizer.padding or _padding(tokenizer)
    tokenizer.enable_padding(
        direction=known.get("direction", "right"),
        pad_id=known["pad_id"],
        pad_type_id=known.get("pad_type_id", 0),
        pad_token=known["pad_token"],
        length=fixed,
    )
    return tokenizer


def _padding(tokenizer: Any) -> dict[str, Any]:
    for token in _PADDING:
        if (id := tokenizer.token_to_id(token)) is not None:
            return {"pad_id": id, "pad_token": token}
    # The mask hides it; any id that the model knows will do.
    return {"pad_id": 0, "pad_token": tokenizer.id_to_token(0) or ""}


def _fixed_length(model: OnnxModel) -> int | None:
    shape = model.inputs.get("input_ids", ())
    return shape[1] if len(shape) == 2 else None
