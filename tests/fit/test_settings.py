"""Settings are checked before minutes of fitting, not after."""

from __future__ import annotations

import json
from typing import Any

import pytest

from crossfade.errors import InvalidInput
from crossfade.fit.settings import FitSettings


@pytest.mark.parametrize(
    ("name", "value"),
    [
        ("seed", -1),
        ("seed", 1.5),
        ("seed", None),
        ("seed", "0"),
        ("epochs", 0),
        ("epochs", 2.5),
        ("epochs", True),
        ("batch_size", 0),
        ("batch_size", None),
        ("patience", -3),
        ("learning_rate", 0.0),
        ("learning_rate", float("nan")),
        ("learning_rate", float("inf")),
        ("learning_rate", "fast"),
        ("weight_decay", -0.1),
        ("temperature", 0.0),
        ("teacher_temperature", -1.0),
        ("held_out", 0.0),
        ("held_out", 0.6),
        ("held_out", float("nan")),
        ("two_encoder_weight", 1.1),
        ("two_encoder_weight", -0.1),
        ("ridge_penalty", 0.0),
        ("ridge_penalty", -1.0),
        ("hidden", 512),
        ("hidden", (0,)),
        ("rho_hidden", (8.5,)),
        ("forward_hidden", ("wide",)),
    ],
)
def test_a_value_that_can_not_be_used_is_refused_by_name(name: str, value: Any) -> None:
    with pytest.raises(InvalidInput, match=name):
        FitSettings().but(**{name: value})


def test_an_unknown_setting_is_refused_with_the_known_ones() -> None:
    with pytest.raises(InvalidInput, match="unknown setting 'epoch'; known: seed, epochs, "):
        FitSettings().but(epoch=3, seed=1)


def test_changes_leave_the_rest_and_the_original() -> None:
    base = FitSettings()
    changed = base.but(seed=3, hidden=(4, 5), ridge_penalty=0.1, epochs=2)
    assert (changed.seed, changed.hidden, changed.ridge_penalty) == (3, (4, 5), 0.1)
    assert changed.but(seed=0, hidden=base.hidden, ridge_penalty=None, epochs=None) == base
    assert base == FitSettings()


def test_no_hidden_layer_is_a_choice() -> None:
    assert FitSettings(hidden=(), rho_hidden=()).hidden == ()


def test_settings_describe_themselves_as_json() -> None:
    described = FitSettings(seed=7).describe()
    assert described["seed"] == 7
    assert json.loads(json.dumps(described))["hidden"] == list(FitSettings().hidden)
