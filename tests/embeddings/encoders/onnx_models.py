"""Tiny ONNX models and a tokenizer, made on the spot."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np
import onnx
from numpy.typing import NDArray
from onnx import TensorProto, helper, numpy_helper
from tokenizers import Tokenizer
from tokenizers.models import WordLevel
from tokenizers.pre_tokenizers import Whitespace
from tokenizers.processors import TemplateProcessing

WORDS = ["[PAD]", "[UNK]", "[CLS]", "[SEP]", "red", "green", "blue", "passage"]
RNG = np.random.default_rng(0)
TABLE = RNG.normal(size=(len(WORDS), 5)).astype(np.float32)


def save(
    path: Path,
    nodes: Sequence[Any],
    inputs: Sequence[tuple[str, int, Sequence[Any]]],
    output: Sequence[Any],
    **weights: NDArray[Any],
) -> Path:
    graph = helper.make_graph(
        nodes,
        "tiny",
        [helper.make_tensor_value_info(*one) for one in inputs],
        [helper.make_tensor_value_info("out", TensorProto.FLOAT, output)],
        [numpy_helper.from_array(array, name) for name, array in weights.items()],
    )
    model = helper.make_model(graph, opset_imports=[helper.make_opsetid("", 17)], ir_version=8)
    onnx.checker.check_model(model)
    onnx.save(model, path)
    return path


def mean_colour(
    path: Path,
    shape: Sequence[Any] = ("n", 3, "h", "w"),
    kind: int = TensorProto.FLOAT,
    scale: float = 1.0,
) -> Path:
    """The mean of each colour over the pixels: (n, 3)."""
    axes = [2, 3] if shape[1] in (1, 3) else [1, 2]
    nodes = [
        helper.make_node("Cast", ["images"], ["float"], to=TensorProto.FLOAT),
        helper.make_node("ReduceMean", ["float"], ["mean"], axes=axes, keepdims=0),
        helper.make_node("Mul", ["mean", "scale"], ["out"]),
    ]
    channels = shape[1] if axes == [2, 3] else shape[3]
    weights = {"scale": np.array(scale, np.float32)}
    return save(path, nodes, [("images", kind, shape)], [shape[0], channels], **weights)


def corner_pixels(path: Path, size: int) -> Path:
    """All pixels in a row, (n, 3 * size * size), to see how an image was laid out."""
    nodes = [helper.make_node("Flatten", ["images"], ["out"], axis=1)]
    inputs = [("images", TensorProto.FLOAT, ["n", 3, size, size])]
    return save(path, nodes, inputs, ["n", 3 * size * size])


def token_rows(
    path: Path,
    names: Sequence[str] = ("input_ids", "attention_mask"),
    kind: int = TensorProto.INT64,
    shape: Sequence[Any] = ("n", "t"),
) -> Path:
    """The row of each token in TABLE: (n, t, 5). Other inputs are asked for and have no effect."""
    nodes = [helper.make_node("Gather", ["table", "input_ids"], ["found"])]
    last = "found"
    for name in [name for name in names if name != "input_ids"]:
        nodes += [
            helper.make_node("Cast", [name], [f"{name}_float"], to=TensorProto.FLOAT),
            helper.make_node("Mul", [f"{name}_float", "zero"], [f"{name}_zero"]),
            helper.make_node("Unsqueeze", [f"{name}_zero", "axis"], [f"{name}_column"]),
            helper.make_node("Add", [last, f"{name}_column"], [f"{name}_sum"]),
        ]
        last = f"{name}_sum"
    nodes.append(helper.make_node("Identity", [last], ["out"]))
    weights = {
        "table": TABLE,
        "zero": np.array(0, np.float32),
        "axis": np.array([-1], np.int64),
    }
    used = weights if len(names) > 1 else {"table": TABLE}
    return save(path, nodes, [(name, kind, shape) for name in names], [*shape, 5], **used)


def tokenizer(path: Path) -> Path:
    """Words between [CLS] and [SEP]."""
    made = Tokenizer(WordLevel({word: row for row, word in enumerate(WORDS)}, "[UNK]"))
    made.pre_tokenizer = Whitespace()
    made.post_processor = TemplateProcessing(
        single="[CLS] $A [SEP]", special_tokens=[("[CLS]", 2), ("[SEP]", 3)]
    )
    made.save(str(path))
    return path


def table_rows(*words: str) -> NDArray[np.float32]:
    return TABLE[[WORDS.index(word) for word in words]]
