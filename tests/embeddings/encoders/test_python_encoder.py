"""``module:function``."""

import sys
from collections.abc import Iterator
from pathlib import Path

import numpy as np
import pytest

from crossfade.embeddings.encoders import Takes, load_encoder
from crossfade.errors import EncoderMisconfigured, InvalidInput

MODULE = """
import numpy as np

def embed(items):
    return np.ones((len(items), 3))

def make():
    return embed

class Model:
    name, dim = "model@2", 4
    def __call__(self, items):
        return np.zeros((len(items), 4))

class Broken:
    def __init__(self):
        raise OSError("no weights")

class Holder:
    embed = staticmethod(embed)

number = 3
"""


@pytest.fixture(autouse=True)
def module(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[None]:
    (tmp_path / "my_own_model.py").write_text(MODULE)
    (tmp_path / "my_failing_model.py").write_text("1 / 0")
    (tmp_path / "my_lacking_model.py").write_text("import no_such_package_at_all")
    monkeypatch.chdir(tmp_path)
    monkeypatch.setattr(sys, "path", [path for path in sys.path if path])
    monkeypatch.setattr(sys, "dont_write_bytecode", True)
    yield
    for name in [name for name in sys.modules if name.startswith("my_")]:
        del sys.modules[name]


def test_a_function_of_a_module_in_the_current_directory_is_an_encoder() -> None:
    encoder = load_encoder("my_own_model:embed")
    assert np.array_equal(encoder(["a", "b"]), np.ones((2, 3)))
    assert (encoder.name, encoder.dim) == ("my_own_model:embed", None)
    assert encoder.takes is Takes.ITEMS
    assert load_encoder("my_own_model:embed?name=m").name == "m"
    assert load_encoder("my_own_model:Holder.embed")(["a"]).shape == (1, 3)


def test_a_class_is_made_and_says_its_name_and_width() -> None:
    encoder = load_encoder("my_own_model:Model")
    assert (encoder.name, encoder.dim) == ("model@2", 4)
    assert encoder(["a"]).shape == (1, 4)


def test_a_factory_is_called_when_written_as_a_call() -> None:
    assert load_encoder("my_own_model:make()")(["a"]).shape == (1, 3)


@pytest.mark.parametrize(
    ("spec", "kind", "why"),
    [
        ("no_such_module:f", InvalidInput, "there is no module 'no_such_module'"),
        ("my_own_model.deeper:f", InvalidInput, "my_own_model"),
        ("my_own_model:absent", InvalidInput, "has no 'absent'; it has .*embed"),
        ("my_own_model:number", InvalidInput, "is int, wanted something to call"),
        ("my_own_model:", InvalidInput, "there is no encoder of kind"),
        ("my-model:f", InvalidInput, "there is no encoder of kind 'my-model'"),
        ("my_own_model:embed?size=2", InvalidInput, "has no option 'size'"),
        ("my_failing_model:f", EncoderMisconfigured, "ZeroDivisionError: division by zero"),
        ("my_lacking_model:f", EncoderMisconfigured, "No module named 'no_such_package_at_all'"),
        ("my_own_model:Broken", EncoderMisconfigured, "OSError: no weights"),
    ],
)
def test_what_can_t_be_called_says_why(spec: str, kind: type[Exception], why: str) -> None:
    with pytest.raises(kind, match=why):
        load_encoder(spec)
