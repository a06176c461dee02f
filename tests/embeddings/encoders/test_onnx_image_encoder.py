"""Image models in ONNX form: real files, real runtime."""

import io
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from onnx import TensorProto
from onnx_models import corner_pixels, mean_colour, token_rows
from PIL import Image

from crossfade.embeddings.encoders import load_encoder
from crossfade.errors import EncoderError, EncoderMisconfigured, InvalidInput

ORANGE = (200, 100, 50)


def png(image: Image.Image, **options: Any) -> bytes:
    file = io.BytesIO()
    image.save(file, options.pop("format", "PNG"), **options)
    return file.getvalue()


def plain(colour: Any = ORANGE, size: tuple[int, int] = (20, 12), mode: str = "RGB") -> bytes:
    return png(Image.new(mode, size, colour))


def test_images_become_rows_scaled_as_said(tmp_path: Path) -> None:
    path = mean_colour(tmp_path / "m.onnx")
    encoder = load_encoder(f"onnx-image:{path}?size=8&mean=127,117,107&std=2")
    (tmp_path / "grey.png").write_bytes(plain((127, 117, 107)))
    got = encoder([plain(), tmp_path / "grey.png"])
    np.testing.assert_allclose(got, [[36.5, -8.5, -28.5], [0, 0, 0]], atol=1e-4)
    assert encoder.dim == 3 and encoder.name.startswith("onnx-image:m.onnx@")


@pytest.mark.parametrize(
    ("shape", "kind", "options", "wanted"),
    [
        (("n", 3, "h", "w"), TensorProto.FLOAT, "size=8&mean=0&std=1", ORANGE),
        (("n", "h", "w", 3), TensorProto.FLOAT, "size=8&mean=0&std=1", ORANGE),
        (("n", 3, 8, 8), TensorProto.FLOAT, "mean=0&std=1&color=bgr", ORANGE[::-1]),
        (("n", 8, 8, 3), TensorProto.UINT8, "", ORANGE),
        ((2, 3, 8, 8), TensorProto.FLOAT16, "mean=0&std=1", ORANGE),
        (("n", 1, 8, 8), TensorProto.FLOAT, "mean=0&std=1", (124,)),
    ],
    ids=["nchw", "nhwc", "bgr", "bytes", "half precision, batch of 2", "grey"],
)
def test_the_model_s_own_layout_type_and_batch_are_kept(
    tmp_path: Path, shape: Any, kind: int, options: str, wanted: Any
) -> None:
    path = mean_colour(tmp_path / "m.onnx", shape, kind)
    got = load_encoder(f"onnx-image:{path}?{options}".rstrip("?"))([plain()] * 5)
    assert got.shape == (5, len(wanted))
    np.testing.assert_allclose(got, [wanted] * 5, atol=0.6)


def test_a_crop_keeps_the_middle_and_a_stretch_keeps_all(tmp_path: Path) -> None:
    image = Image.new("RGB", (16, 4), "black")
    image.paste("white", (6, 0, 10, 4))
    path = corner_pixels(tmp_path / "m.onnx", 4)
    crop = load_encoder(f"onnx-image:{path}?mean=0&std=255")([png(image)])
    stretch = load_encoder(f"onnx-image:{path}?mean=0&std=255&fit=stretch&resample=bilinear")
    assert crop.min() == 1.0
    stretched = stretch([png(image)])
    assert stretched.min() < 0.2 and stretched.max() > 0.5


def test_images_are_upright_and_on_white(tmp_path: Path) -> None:
    path = corner_pixels(tmp_path / "m.onnx", 2)
    encoder = load_encoder(f"onnx-image:{path}?mean=0&std=255")
    image = Image.new("RGB", (2, 2), "black")
    image.putpixel((0, 0), (255, 255, 255))
    exif = Image.Exif()
    exif[0x0112] = 3  # turned by 180 degrees
    clear = Image.new("RGBA", (2, 2), (0, 0, 0, 0))
    upright, transparent = encoder([png(image, exif=exif), png(clear)])
    assert upright.reshape(3, 2, 2)[0].tolist() == [[0, 0], [0, 1]]
    assert transparent.tolist() == [1.0] * 12


@pytest.mark.parametrize("mode", ["L", "P", "LA", "1", "CMYK", "I;16"])
def test_every_mode_of_image_is_read(tmp_path: Path, mode: str) -> None:
    path = mean_colour(tmp_path / "m.onnx")
    encoder = load_encoder(f"onnx-image:{path}?size=8&mean=0&std=1")
    image = Image.new(mode, (9, 9), 0)
    assert encoder([png(image, format="TIFF" if mode == "CMYK" else "PNG")]).shape == (1, 3)


def test_a_broken_image_is_refused_alone(tmp_path: Path) -> None:
    (tmp_path / "broken.png").write_bytes(plain()[:60])
    encoder = load_encoder(f"onnx-image:{mean_colour(tmp_path / 'm.onnx')}?size=8&mean=0&std=1")
    for broken in (b"", b"no image", plain()[:60], tmp_path / "broken.png", tmp_path / "absent"):
        with pytest.raises(EncoderError, match="can't be decoded as an image"):
            encoder.prepare(broken)
    for other in ("text", 3, None):
        with pytest.raises(EncoderError, match="wanted an image's bytes or its file"):
            encoder.prepare(other)


def test_another_model_or_other_settings_are_another_name(tmp_path: Path) -> None:
    def name(path: Path, options: str = "size=8&mean=0&std=1") -> str:
        return load_encoder(f"onnx-image:{path}?{options}").name

    first = mean_colour(tmp_path / "m.onnx")
    (tmp_path / "copy").mkdir()
    (tmp_path / "copy" / "m.onnx").write_bytes(first.read_bytes())
    before = name(first)
    assert name(tmp_path / "copy" / "m.onnx") == before == name(first)
    assert name(first, "size=8&mean=0&std=2") != before
    assert name(mean_colour(tmp_path / "m.onnx", scale=2.0)) != before
    assert name(first, "size=8&mean=0&std=1&name=mine") == "mine"


@pytest.mark.parametrize(
    ("options", "why"),
    [
        ("mean=0&std=1", "needs the option size"),
        ("size=8&std=1", "needs the option mean"),
        ("size=8&mean=0&std=0", "std is 0"),
        ("size=8&mean=1,2&std=1", "mean has 2 numbers"),
        ("size=big&mean=0&std=1", "size is 'big'"),
        ("size=0&mean=0&std=1", "size is '0'"),
        ("size=8&mean=0&std=1&layout=hwc", "layout is 'hwc', wanted nchw or nhwc"),
        ("size=8&mean=0&std=1&output=other", "has no output 'other'; it has out"),
    ],
)
def test_settings_that_can_t_be_are_refused(tmp_path: Path, options: str, why: str) -> None:
    path = mean_colour(tmp_path / "m.onnx")
    with pytest.raises(InvalidInput, match=why):
        load_encoder(f"onnx-image:{path}?{options}")


def test_a_file_that_is_no_image_model_is_refused(tmp_path: Path) -> None:
    (tmp_path / "text.onnx").write_text("no model")
    with pytest.raises(EncoderMisconfigured, match="no ONNX model that can be loaded"):
        load_encoder(f"onnx-image:{tmp_path}/text.onnx?size=8&mean=0&std=1")
    with pytest.raises(EncoderMisconfigured, match="wanted one input of images"):
        load_encoder(f"onnx-image:{token_rows(tmp_path / 't.onnx')}?size=8&mean=0&std=1")
    with pytest.raises(InvalidInput, match="there is no ONNX model"):
        load_encoder(f"onnx-image:{tmp_path}/absent.onnx?size=8&mean=0&std=1")


def test_a_size_that_the_model_can_t_take_is_the_set_up_s_fault(tmp_path: Path) -> None:
    path = corner_pixels(tmp_path / "m.onnx", 4)
    with pytest.raises(EncoderMisconfigured, match=r"m\.onnx failed"):
        load_encoder(f"onnx-image:{path}?size=8&mean=0&std=1")([plain()])
