"""``module:function``: any Python callable."""

from __future__ import annotations

import importlib
import sys
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

from crossfade.embeddings.encoders.base import ContentEncoder, Takes
from crossfade.embeddings.spec import Spec
from crossfade.errors import EncoderMisconfigured, InvalidInput

__all__ = ["PythonEncoder", "python_encoder"]


class PythonEncoder(ContentEncoder):
    """A callable of the user's own: called with items, or with contents if a source is given.

    It may state the attributes ``name`` and ``dim``.
    """

    takes = Takes.ITEMS

    def __init__(self, function: Callable[[Sequence[Any]], Any], name: str) -> None:
        self._function = function
        self.name = _stated(function, "name", str) or name
        self.dim = _stated(function, "dim", int)

    def prepare(self, content: Any) -> Any:
        """The content as it is."""
        return content

    def encode(self, prepared: Sequence[Any]) -> Any:
        """What the callable returns."""
        return self._function(prepared)


def python_encoder(spec: Spec) -> PythonEncoder:
    """``module:function``; ``module:Class`` and ``module:make()`` are called once first."""
    spec.allow("name")
    path, made = spec.target.removesuffix("()"), spec.target.endswith("()")
    shown = f"{spec.kind}:{path}"
    found = _attribute(_module(spec.kind, shown), path, shown)
    if made or isinstance(found, type):
        found = _made(found, shown)
    if not callable(found):
        raise InvalidInput(f"{shown} is {type(found).__name__}, wanted something to call")
    return PythonEncoder(found, spec.options.get("name", shown))


def _module(name: str, shown: str) -> Any:
    try:
        _make_current_directory_importable()
        return importlib.import_module(name)
    except ModuleNotFoundError as error:
        # ``a.b`` fails by ``a``; an import inside the module fails by another name.
        if error.name and (name == error.name or name.startswith(f"{error.name}.")):
            raise InvalidInput(
                f"{shown}: there is no module {error.name!r} in the current directory or on "
                "Python's path; an encoder is module:function or one of the kinds in the docs"
            ) from error
        raise EncoderMisconfigured(f"{shown}: importing {name} failed: {error}") from error
    except Exception as error:
        kind = type(error).__name__
        raise EncoderMisconfigured(f"{shown}: importing {name} failed: {kind}: {error}") from error


def _attribute(module: Any, path: str, shown: str) -> Any:
    found = module
    for name in path.split("."):
        if not hasattr(found, name):
            public = sorted(known for known in vars(module) if not known.startswith("_"))
            raise InvalidInput(
                f"{shown}: {module.__name__} has no {path!r}; it has {', '.join(public[:20])}"
            )
        found = getattr(found, name)
    return found


def _made(factory: Any, shown: str) -> Any:
    try:
        return factory()
    except Exception as error:
        kind = type(error).__name__
        raise EncoderMisconfigured(f"{shown}() failed: {kind}: {error}") from error


def _make_current_directory_importable() -> None:
    # A console script's path lacks it, unlike that of ``python -m``. It stays, for imports made
    # when the encoder is called; at the end, so that no file there hides an installed module.
    if not {"", str(Path.cwd())} & set(sys.path):
        sys.path.append("")


def _stated(function: Any, attribute: str, kind: type) -> Any:
    value = getattr(function, attribute, None)
    return value if isinstance(value, kind) else None
