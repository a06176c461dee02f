"""What the demo needs beyond the package itself."""

from __future__ import annotations

from importlib.util import find_spec

from crossfade.errors import MissingExtra

__all__ = ["require_extras"]

_MODULES = ("torch", "qdrant_edge", "matplotlib", "jinja2", "PIL")


def require_extras() -> None:
    """Say at once, not after a minute of training, that something is missing.

    Raises:
        MissingExtra: with the line that installs it all.
    """
    missing = [module for module in _MODULES if find_spec(module) is None]
    if missing:
        raise MissingExtra(f"the demo ({', '.join(missing)})", "demo")
