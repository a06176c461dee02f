"""Which stores there are, what they can do, and what is missing to use them."""

from __future__ import annotations

import inspect
import re
from dataclasses import dataclass
from importlib import import_module
from importlib.metadata import entry_points
from importlib.util import find_spec

from crossfade.stores.base import Capabilities
from crossfade.stores.uri import GROUP

__all__ = ["ListedStore", "listed_stores"]

_ROLE = re.compile(r":\w+:`~?([^`]*)`")


@dataclass(frozen=True)
class ListedStore:
    """A store of this installation.

    Attributes:
        schemes: the beginnings of its URIs; all name the same store.
        capabilities: None if the store does not say; its module has no ``CAPABILITIES``.
        description: how its module describes it, in Markdown.
    """

    schemes: tuple[str, ...]
    capabilities: Capabilities | None
    description: str

    @property
    def installed(self) -> bool:
        """Whether the package that it needs is there."""
        package = self.capabilities.package if self.capabilities else None
        return package is None or find_spec(package) is not None

    @property
    def pip_line(self) -> str | None:
        """What installs the package that it needs, or None if it needs none."""
        extra = self.capabilities.extra if self.capabilities else None
        return None if extra is None else f'pip install "crossfade[{extra}]"'


def listed_stores() -> list[ListedStore]:
    """All registered stores: our own, and others by the name of their scheme.

    A store's module, which its entry point names, says what it can do in ``CAPABILITIES``. It is
    imported for that and must not need its optional package to be imported.
    """
    modules: dict[str, list[str]] = {}
    for entry in entry_points(group=GROUP):
        modules.setdefault(entry.module, []).append(entry.name)
    listed = [_listed(module, schemes) for module, schemes in modules.items()]
    return sorted(listed, key=lambda store: store.schemes)


def _listed(name: str, schemes: list[str]) -> ListedStore:
    module = import_module(name)
    found = getattr(module, "CAPABILITIES", None)
    capabilities = found if isinstance(found, Capabilities) else None
    # The scheme that the capabilities name comes first.
    own = capabilities.scheme if capabilities else ""
    ordered = tuple(sorted(set(schemes), key=lambda scheme: (scheme != own, scheme)))
    return ListedStore(ordered, capabilities, _ROLE.sub(r"`\1`", inspect.getdoc(module) or ""))
