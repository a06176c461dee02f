"""Encoders by spec; the table of what there is."""

from __future__ import annotations

from collections.abc import Callable

from crossfade.embeddings.encoders.base import ContentEncoder
from crossfade.embeddings.encoders.onnx_image import onnx_image_encoder
from crossfade.embeddings.encoders.onnx_text import onnx_text_encoder
from crossfade.embeddings.encoders.openai import openai_encoder
from crossfade.embeddings.encoders.precomputed import precomputed_encoder
from crossfade.embeddings.encoders.python import python_encoder
from crossfade.embeddings.encoders.sentence_transformer import sentence_transformer_encoder
from crossfade.embeddings.spec import Spec, parse_spec
from crossfade.errors import InvalidInput

__all__ = ["ENCODERS", "load_encoder"]

ENCODERS: dict[str, Callable[[Spec], ContentEncoder]] = {
    "onnx-image": onnx_image_encoder,
    "onnx-text": onnx_text_encoder,
    "sentence-transformers": sentence_transformer_encoder,
    "openai": openai_encoder,
    "precomputed": precomputed_encoder,
}
"""What makes an encoder, by the kind of its spec; any other kind is a Python module."""


def load_encoder(text: str) -> ContentEncoder:
    """Make the encoder that a spec names; ``docs/encoders.md`` has them all.

    Raises:
        InvalidInput: no such kind or module, an option wrong, a file that is not there.
        MissingExtra: an optional package is absent; the message has the pip line.
        EncoderMisconfigured: it can't be made: a module that fails, a model that is none.
    """
    spec = parse_spec(text)
    if spec.kind in ENCODERS:
        return ENCODERS[spec.kind](spec)
    if not spec.target or not all(part.isidentifier() for part in spec.kind.split(".")):
        raise InvalidInput(
            f"there is no encoder of kind {spec.kind!r}; wanted module:function or KIND:WHAT "
            f"with one of {', '.join(ENCODERS)}"
        )
    return python_encoder(spec)
