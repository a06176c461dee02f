"""``sentence-transformers:NAME_OR_PATH``: a model on this machine; nothing is downloaded."""

from __future__ import annotations

import hashlib
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from crossfade.embeddings.encoders.base import ContentEncoder, require_text
from crossfade.embeddings.encoders.images import open_image
from crossfade.embeddings.spec import Spec
from crossfade.errors import EncoderMisconfigured, MissingExtra

__all__ = ["SentenceTransformerEncoder", "sentence_transformer_encoder"]

_WEIGHTS = (".safetensors", ".bin", ".json", ".txt", ".model", ".npy", ".onnx")


class SentenceTransformerEncoder(ContentEncoder):
    """A model of the package sentence-transformers; contents are texts, or images if it takes them.

    Args:
        batch: how many contents the model sees at once.
        prompt: the name of one of the model's own prompts, put before texts.
    """

    def __init__(self, model: Any, name: str, batch: int, prompt: str | None) -> None:
        self.name = name
        self.dim = model.get_embedding_dimension()
        self._model = model
        self._batch = batch
        self._prompt = prompt

    def prepare(self, content: Any) -> Any:
        """The text, or the image decoded."""
        return open_image(content) if isinstance(content, (bytes, Path)) else require_text(content)

    def encode(self, prepared: Sequence[Any]) -> Any:
        """Run the model on ``n`` contents."""
        return self._model.encode(
            list(prepared),
            batch_size=self._batch,
            prompt_name=self._prompt,
            show_progress_bar=False,
            convert_to_numpy=True,
        )


def sentence_transformer_encoder(spec: Spec) -> SentenceTransformerEncoder:
    """``sentence-transformers:NAME_OR_PATH?device=cpu&batch=32&prompt=NAME``."""
    spec.allow("device", "batch", "prompt", "name")
    model = _loaded(spec.target, spec.options.get("device"))
    prompt = spec.options.get("prompt")
    if prompt is not None and prompt not in model.prompts:
        raise EncoderMisconfigured(
            f"{spec.target} has no prompt {prompt!r}; it has {', '.join(model.prompts) or 'none'}"
        )
    name = spec.options.get("name") or _name(spec.target, prompt)
    return SentenceTransformerEncoder(model, name, spec.whole("batch", 32) or 32, prompt)


def _loaded(target: str, device: str | None) -> Any:
    try:
        from sentence_transformers import SentenceTransformer
    except ImportError as error:
        raise MissingExtra("a sentence-transformers encoder", "sentence-transformers") from error
    try:
        return SentenceTransformer(
            target, device=device, local_files_only=True, trust_remote_code=False
        )
    except Exception as error:  # whatever the model's own modules raise
        reason = str(error).splitlines()[0][:300] if str(error) else type(error).__name__
        raise EncoderMisconfigured(
            f"sentence-transformers can't load {target!r} from this machine: {reason}; nothing "
            "is downloaded here, so fetch the model beforehand or name its folder"
        ) from error


def _name(target: str, prompt: str | None) -> str:
    asked = f" prompt {prompt}" if prompt else ""
    folder = Path(target)
    if not folder.is_dir():
        return f"sentence-transformers:{target}{asked}"
    digest = hashlib.sha256()
    for file in sorted(folder.rglob("*")):
        if file.is_file() and file.suffix in _WEIGHTS:
            digest.update(str(file.relative_to(folder)).encode())
            with file.open("rb") as content:
                digest.update(hashlib.file_digest(content, "sha256").digest())
    return f"sentence-transformers:{folder.resolve().name}@{digest.hexdigest()[:12]}{asked}"
