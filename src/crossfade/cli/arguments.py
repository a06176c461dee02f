"""Options that take several values: ``--compare A B C`` as well as ``--compare A,B``."""

from __future__ import annotations

from collections.abc import Sequence

from crossfade.bench.measure import is_method
from crossfade.upgrade import Mode

__all__ = ["spread_lists"]

_LIST_OPTIONS = ("--compare", "--methods", "--modes")
_LIST_WORDS = {"all", *(mode.value for mode in Mode)}


def spread_lists(arguments: Sequence[str]) -> list[str]:
    """Rewrite ``--compare A B C`` as ``--compare A --compare B --compare C``.

    The first value may be anything; further ones are taken as long as they name a method or a
    mode, so that a folder behind the list stays an argument of its own.
    """
    out: list[str] = []
    option: str | None = None
    for argument in _split_equals(arguments):
        first_value = bool(out) and out[-1] in _LIST_OPTIONS
        if argument in _LIST_OPTIONS:
            option = argument
            out.append(argument)
        elif first_value and option and not argument.startswith("-"):
            out += _repeated(option, argument.split(","))[1:]
        elif option and all(map(_is_value, argument.split(","))):
            out += _repeated(option, argument.split(","))
        else:
            option = None
            out.append(argument)
    return out


def _is_value(word: str) -> bool:
    return is_method(word) or word in _LIST_WORDS


def _split_equals(arguments: Sequence[str]) -> list[str]:
    """``--compare=A`` as the two words ``--compare A``."""
    words: list[str] = []
    for argument in arguments:
        name, equals, value = argument.partition("=")
        words += [name, value] if equals and name in _LIST_OPTIONS else [argument]
    return words


def _repeated(option: str, values: Sequence[str]) -> list[str]:
    return [word for value in values if value for word in (option, value)]
