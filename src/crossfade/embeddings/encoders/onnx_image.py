"""``onnx-image:PATH``: an image model in ONNX form."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from crossfade.embeddings.encoders.base import ContentEncoder
from crossfade.embeddings.encoders.images import open_image, pillow
from crossfade.embeddings.encoders.onnx_model import OnnxModel, file_digest
from crossfade.embeddings.encoders.pooling import POOLINGS, pooled
from crossfade.embeddings.spec import Spec
from crossfade.embeddings.vectors import FloatArray
from crossfade.errors import EncoderMisconfigured, InvalidInput

__all__ = ["ImageInput", "OnnxImageEncoder", "onnx_image_encoder"]

_LAYOUTS = ("nchw", "nhwc")
_COLOURS = ("rgb", "bgr", "grey")
_OPTIONS = ("size", "mean", "std", "layout", "color", "fit", "resample", "pooling")


@dataclass(frozen=True)
class ImageInput:
    """How the model wants its images.

    Attributes:
        height, width: in pixels.
        mean, std: a pixel value x of 0 to 255 becomes (x - mean) / std; one number, or one a
            colour. None for models that take bytes.
        layout: ``nchw`` or ``nhwc``.
        colour: ``rgb``, ``bgr``, or ``grey`` with one channel.
        fit: ``crop`` the middle after scaling, or ``stretch``.
        resample: ``bicubic`` or ``bilinear``.
    """

    height: int
    width: int
    mean: tuple[float, ...] | None
    std: tuple[float, ...] | None
    layout: str = "nchw"
    colour: str = "rgb"
    fit: str = "crop"
    resample: str = "bicubic"

    def array(self, image: Any) -> NDArray[Any]:
        """``(c, h, w)`` or ``(h, w, c)`` of an RGB image."""
        pixels = np.asarray(self._scaled(image))
        pixels = pixels[..., None] if pixels.ndim == 2 else pixels
        pixels = pixels[..., ::-1] if self.colour == "bgr" else pixels
        if self.mean is not None and self.std is not None:
            mean, std = np.array(self.mean, np.float32), np.array(self.std, np.float32)
            pixels = (pixels.astype(np.float32) - mean) / std
        return pixels.transpose(2, 0, 1) if self.layout == "nchw" else pixels

    def _scaled(self, image: Any) -> Any:
        image_module, ops = pillow()
        size = (self.width, self.height)
        method = image_module.Resampling[self.resample.upper()]
        coloured = image.convert("L") if self.colour == "grey" else image
        if self.fit == "stretch":
            return coloured.resize(size, method)
        return ops.fit(coloured, size, method)


class OnnxImageEncoder(ContentEncoder):
    """An image model; contents are the bytes or paths of images."""

    def __init__(self, model: OnnxModel, wanted: ImageInput, pooling: str, name: str) -> None:
        self.name = name
        self.dim = model.dim
        self._model = model
        self._input = _only_input(model)
        self._type = model.type_of(self._input)
        self._wanted = wanted
        self._pooling = pooling

    def prepare(self, content: Any) -> NDArray[Any]:
        """The image as the model wants it."""
        return self._wanted.array(open_image(content)).astype(self._type)

    def encode(self, prepared: Sequence[NDArray[Any]]) -> FloatArray:
        """Run the model on ``n`` images."""
        output = self._model.run({self._input: np.stack(prepared)})
        return pooled(output, None, self._pooling, self.name)


def onnx_image_encoder(spec: Spec) -> OnnxImageEncoder:
    """``onnx-image:PATH?size=224&mean=127&std=128&layout=nchw&...``."""
    spec.allow(*_OPTIONS, "output", "threads", "name")
    path = Path(spec.target)
    pillow()
    model = OnnxModel(path, spec.options.get("output"), spec.whole("threads"))
    wanted = _wanted(spec, model)
    pooling = spec.choice("pooling", POOLINGS, "mean")
    settings = {"input": wanted, "pooling": pooling, "output": spec.options.get("output")}
    name = spec.options.get("name") or f"onnx-image:{path.name}@{file_digest(path, settings)}"
    return OnnxImageEncoder(model, wanted, pooling, name)


def _only_input(model: OnnxModel) -> str:
    if len(model.inputs) != 1 or len(next(iter(model.inputs.values()))) != 4:
        raise EncoderMisconfigured(
            f"{model.path} takes {model.inputs}, wanted one input of images (n, c, h, w) or "
            "(n, h, w, c)"
        )
    return next(iter(model.inputs))


def _wanted(spec: Spec, model: OnnxModel) -> ImageInput:
    name = _only_input(model)
    shape = model.inputs[name]
    guess = "nhwc" if shape[3] in (1, 3) and shape[1] not in (1, 3) else "nchw"
    layout = spec.choice("layout", _LAYOUTS, guess)
    channels = shape[1 if layout == "nchw" else 3]
    height, width = _size(spec, shape[2:] if layout == "nchw" else shape[1:3])
    colour = spec.choice("color", _COLOURS, "grey" if channels == 1 else "rgb")
    as_bytes = model.type_of(name) is np.uint8
    return ImageInput(
        height,
        width,
        mean=None if as_bytes else _per_colour(spec, "mean", colour),
        std=None if as_bytes else _per_colour(spec, "std", colour),
        layout=layout,
        colour=colour,
        fit=spec.choice("fit", ("crop", "stretch"), "crop"),
        resample=spec.choice("resample", ("bicubic", "bilinear"), "bicubic"),
    )


def _size(spec: Spec, fixed: tuple[int | None, ...]) -> tuple[int, int]:
    """Height and width: as said (``224``, or ``WIDTHxHEIGHT``), or as the model has them fixed."""
    if "size" not in spec.options and None not in fixed:
        return fixed[0] or 0, fixed[1] or 0
    text = spec.text("size")
    width, _, height = text.partition("x")
    if not (width.isdecimal() and (height or width).isdecimal() and int(width) * int(height or 1)):
        raise InvalidInput(f"{spec.kind}: size is {text!r}, wanted e.g. 224 or 320x240")
    return int(height or width), int(width)


def _per_colour(spec: Spec, name: str, colour: str) -> tuple[float, ...]:
    spec.text(name)  # no default: a wrong one gives embeddings that look right
    numbers = spec.numbers(name, "")
    if len(numbers) not in (1, 1 if colour == "grey" else 3):
        raise InvalidInput(
            f"{spec.kind}: {name} has {len(numbers)} numbers, wanted 1 or one a colour"
        )
    if name == "std" and 0 in numbers:
        raise InvalidInput(f"{spec.kind}: std is 0")
    return tuple(numbers)
