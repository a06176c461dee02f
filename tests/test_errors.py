"""The error tree is one tree, drawn as it is, and every class is the builtin expected."""

from __future__ import annotations

import pickle
import re

import pytest

from crossfade import errors
from crossfade.errors import CrossfadeError, MissingExtra

CLASSES = [getattr(errors, name) for name in errors.__all__]


def test_the_names_are_pinned() -> None:
    assert errors.__all__ == [
        "ArtifactError",
        "BenchIncomplete",
        "CrossfadeError",
        "DataFileError",
        "EncoderError",
        "EncoderMisconfigured",
        "EncoderUnavailable",
        "GalleryStateError",
        "InvalidInput",
        "JobLocked",
        "MissingExtra",
        "MissingPackage",
        "OutputError",
        "SpaceMismatch",
        "StoreError",
        "StoreUnavailable",
    ]


def test_every_error_of_the_module_is_public_and_in_the_tree() -> None:
    defined = {
        value
        for value in vars(errors).values()
        if isinstance(value, type) and issubclass(value, Exception)
    }
    assert defined == set(CLASSES)
    assert all(issubclass(error, CrossfadeError) for error in defined)


def test_the_drawing_shows_every_class_in_its_place() -> None:
    drawing = (errors.__doc__ or "").split("do.\n\n")[1].splitlines()
    above: list[str] = []
    for line in drawing:
        lead, name, builtin = re.fullmatch(r"([ |`-]*)(\w+)(?: \((\w+)\))?.*", line).groups()
        above = [*above[: (len(lead) - 4) // 4], name]
        error = getattr(errors, name)
        assert [base.__name__ for base in reversed(error.__mro__) if base in CLASSES] == above
        assert builtin is None or builtin in {base.__name__ for base in error.__mro__}
    assert len(drawing) == len(CLASSES)


@pytest.mark.parametrize("error", [error for error in CLASSES if error is not MissingExtra])
def test_errors_carry_their_text_and_survive_a_process_border(error: type) -> None:
    raised = error("what was got, wanted, and to do")
    assert str(raised) == "what was got, wanted, and to do"
    again = pickle.loads(pickle.dumps(raised))
    assert type(again) is error
    assert str(again) == str(raised)


def test_a_missing_extra_names_the_line_to_install_it() -> None:
    error = MissingExtra("fitting", "fit")
    assert str(error) == 'fitting needs an optional package: pip install "crossfade[fit]"'
    assert error.extra == "fit"
    assert isinstance(error, ImportError)
    again = pickle.loads(pickle.dumps(error))
    assert (str(again), again.extra) == (str(error), "fit")


def test_how_long_to_leave_an_encoder_alone_survives_a_process_border() -> None:
    error = errors.EncoderUnavailable("busy", retry_after_seconds=2.5)
    again = pickle.loads(pickle.dumps(error))
    assert (str(again), again.retry_after_seconds) == ("busy", 2.5)
    assert errors.EncoderUnavailable("busy").retry_after_seconds is None
