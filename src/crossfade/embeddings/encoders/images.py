"""Images from bytes and files, upright and in three colours."""

from __future__ import annotations

import io
from pathlib import Path
from typing import Any

from crossfade.errors import EncoderError, MissingExtra

__all__ = ["open_image", "pillow"]


def open_image(content: Any) -> Any:
    """Decode an image: upright as its EXIF data says, RGB, on white where it is transparent.

    Args:
        content: the bytes of a file, or its path.

    Raises:
        EncoderError: it is something else, or no image that can be decoded.
    """
    image_module, ops = pillow()
    if not isinstance(content, (bytes, Path)):
        raise EncoderError(
            f"the content is {type(content).__name__}, wanted an image's bytes or its file: "
            "payload:FIELD?as=base64, payload:FIELD?as=file&folder=DIR, or folder:DIR"
        )
    try:
        with image_module.open(
            io.BytesIO(content) if isinstance(content, bytes) else content
        ) as raw:
            upright = ops.exif_transpose(raw)
            if not upright.has_transparency_data:
                return upright.convert("RGB")
            white = image_module.new("RGBA", upright.size, "white")
            return image_module.alpha_composite(white, upright.convert("RGBA")).convert("RGB")
    # Pillow raises what its decoders happen to raise on damaged data.
    except Exception as error:
        what = "the content" if isinstance(content, bytes) else str(content)
        raise EncoderError(f"{what} can't be decoded as an image: {error}") from error


def pillow() -> tuple[Any, Any]:
    """Pillow's modules ``Image`` and ``ImageOps``."""
    try:
        from PIL import Image, ImageOps
    except ImportError as error:
        raise MissingExtra("an encoder of images", "onnx") from error
    return Image, ImageOps
