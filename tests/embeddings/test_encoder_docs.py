"""The page on encoders says all there is, and nothing else."""

import re
from pathlib import Path

import pytest

from crossfade.embeddings.encoders import ENCODERS
from crossfade.embeddings.sources import SOURCES
from crossfade.embeddings.spec import Spec
from crossfade.errors import InvalidInput

PAGE = (Path(__file__).parents[2] / "docs" / "encoders.md").read_text(encoding="utf-8")
ENCODER_TABLE, SOURCE_TABLE = (
    PAGE.partition(f"## {title}\n")[2].partition("\n## ")[0]
    for title in ("Encoders", "Item sources")
)


def kinds(table: str) -> list[str]:
    return [re.split(r"[:`]", row)[1] for row in table.splitlines() if row.startswith("| `")]


def test_every_kind_of_encoder_has_a_row() -> None:
    assert kinds(ENCODER_TABLE) == ["module", *ENCODERS]


def test_every_kind_of_source_has_a_row() -> None:
    assert sorted(kinds(SOURCE_TABLE)) == sorted(SOURCES)


@pytest.mark.parametrize("kind", [*ENCODERS, *SOURCES])
def test_every_option_is_in_the_row_of_its_kind(kind: str, monkeypatch: pytest.MonkeyPatch) -> None:
    seen: list[str] = []

    class Seen(Exception):
        pass

    def allow(self: Spec, *names: str) -> None:
        seen.extend(names)
        raise Seen

    monkeypatch.setattr(Spec, "allow", allow)
    make = {**SOURCES, **ENCODERS}[kind]
    target = "sqlite://" + __file__ if kind == "sql" else "x"
    with pytest.raises((Seen, InvalidInput)):
        make(Spec(kind, target, {"query": "q"}))
    (row,) = [row for row in PAGE.splitlines() if re.match(rf"\| `{kind}[:`]", row)]
    assert seen or kind == "id"
    assert [name for name in seen if name not in re.findall(r"\w+", row)] == []
