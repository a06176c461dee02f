"""``kind:target?option=value&...``: how encoders and item sources are named in one line."""

from __future__ import annotations

from collections.abc import Collection, Mapping
from dataclasses import dataclass, field
from urllib.parse import parse_qsl

from crossfade.errors import InvalidInput

__all__ = ["Spec", "parse_spec"]


@dataclass(frozen=True)
class Spec:
    """A spec, taken apart. Messages name its kind only: a target may hold a password."""

    kind: str
    target: str
    options: Mapping[str, str] = field(default_factory=dict)

    def allow(self, *names: str) -> None:
        """Refuse options that nobody reads.

        Raises:
            InvalidInput: there is one.
        """
        if unknown := sorted(set(self.options) - set(names)):
            raise InvalidInput(
                f"{self.kind}: has no option {unknown[0]!r}; "
                f"it has {', '.join(sorted(names)) or 'none'}"
            )

    def text(self, name: str, default: str | None = None) -> str:
        """An option as text.

        Raises:
            InvalidInput: it is absent and has no default, or empty.
        """
        value = self.options.get(name, default)
        if not value:
            raise InvalidInput(f"{self.kind}: needs the option {name}, e.g. ?{name}=...")
        return value

    def choice(self, name: str, choices: Collection[str], default: str) -> str:
        """An option out of a few.

        Raises:
            InvalidInput: it is none of them.
        """
        value = self.options.get(name, default)
        if value not in choices:
            raise InvalidInput(f"{self.kind}: {name} is {value!r}, wanted {' or '.join(choices)}")
        return value

    def whole(self, name: str, default: int | None = None) -> int | None:
        """An option as a number of at least 1.

        Raises:
            InvalidInput: it is no such number.
        """
        value = self.options.get(name)
        if value is None:
            return default
        if not value.isdecimal() or int(value) < 1:
            raise InvalidInput(f"{self.kind}: {name} is {value!r}, wanted a number of at least 1")
        return int(value)

    def numbers(self, name: str, default: str) -> list[float]:
        """An option as numbers with commas between.

        Raises:
            InvalidInput: it is something else.
        """
        value = self.options.get(name, default)
        try:
            return [float(part) for part in value.split(",")]
        except ValueError as error:
            raise InvalidInput(
                f"{self.kind}: {name} is {value!r}, wanted numbers, e.g. {name}=127 or "
                f"{name}=123.7,116.3,103.5"
            ) from error


def parse_spec(text: str) -> Spec:
    """Take ``kind:target?option=value`` apart; options are percent-decoded, the target is not.

    Raises:
        InvalidInput: not of that form, or an option twice.
    """
    kind, _, rest = text.partition(":")
    target, _, query = rest.partition("?")
    try:
        pairs = parse_qsl(query, keep_blank_values=True, strict_parsing=bool(query))
    except ValueError as error:
        raise InvalidInput(f"{kind}: options must be ?name=value&name=value") from error
    options = dict(pairs)
    if len(options) < len(pairs):
        raise InvalidInput(f"{kind}: an option is given twice: {', '.join(k for k, _ in pairs)}")
    return Spec(kind, target, options)
