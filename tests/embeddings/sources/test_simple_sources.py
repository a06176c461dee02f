"""Contents from payloads, folders and ids."""

import base64
from pathlib import Path
from typing import Any

import pytest

from crossfade.embeddings.sources import Missing, load_source
from crossfade.errors import InvalidInput


def contents(spec: str, *payloads: dict[str, Any], ids: list[int | str] | None = None) -> list[Any]:
    return list(load_source(spec)(ids or list(range(len(payloads))), payloads))


def reason(content: Any) -> str:
    assert isinstance(content, Missing), content
    return content.reason


def test_the_content_is_a_field_of_the_payload() -> None:
    assert contents("payload:text", {"text": "a"}, {"text": "b", "more": 1}) == ["a", "b"]


def test_a_dotted_field_is_found_whole_or_inside() -> None:
    both = {"doc.text": "whole", "doc": {"text": "inside"}}
    assert contents("payload:doc.text", both, {"doc": {"text": "inside"}}) == ["whole", "inside"]


@pytest.mark.parametrize("payload", [{}, {"text": None}, {"text": 3}, {"text": ["a"]}])
def test_an_item_without_text_lacks_content_alone(payload: dict[str, Any]) -> None:
    first, second = contents("payload:text", payload, {"text": "fine"})
    assert "'text'" in reason(first) and second == "fine"


def test_bytes_in_base64_are_read_plain_or_as_data_uri() -> None:
    code = base64.b64encode(b"bytes").decode()
    got = contents(
        "payload:image?as=base64",
        {"image": code},
        {"image": f"data:image/png;base64,{code}"},
        {"image": "no code!"},
    )
    assert got[:2] == [b"bytes", b"bytes"]
    assert "no base64" in reason(got[2])


def test_a_payload_names_a_file_below_the_folder_and_none_outside(tmp_path: Path) -> None:
    (tmp_path / "in" / "deep").mkdir(parents=True)
    (tmp_path / "in" / "deep" / "a.png").touch()
    (tmp_path / "secret").touch()
    names = [
        "deep/a.png",
        "deep/../deep/a.png",
        "../secret",
        str(tmp_path / "secret"),
        "b",
        "",
        "\0",
    ]
    spec = f"payload:file?as=file&folder={tmp_path}/in"
    got = contents(spec, *({"file": name} for name in names))
    assert got[:2] == [tmp_path / "in" / "deep" / "a.png"] * 2
    reasons = [reason(content) for content in got[2:]]
    assert all("leads out of the folder" in reasons[row] for row in (0, 1, 3))
    assert "there is no file" in reasons[2]


def test_files_of_a_folder_are_named_by_a_pattern(tmp_path: Path) -> None:
    for name in ("1.png", "ü.png", "shop-2.png"):
        (tmp_path / name).touch()
    got = contents(f"folder:{tmp_path}?pattern={{id}}.png", {}, {}, {}, ids=[1, "ü", 9])
    assert got[:2] == [tmp_path / "1.png", tmp_path / "ü.png"]
    assert "there is no file" in reason(got[2]) and "9.png" in reason(got[2])
    spec = f"folder:{tmp_path}?pattern={{shop}}-{{id}}.png"
    found, lacking = contents(spec, {"shop": "shop"}, {"shop": [1]}, ids=[2, 2])
    assert found == tmp_path / "shop-2.png"
    assert "'shop'" in reason(lacking)


def test_an_id_can_t_climb_out_of_its_folder(tmp_path: Path) -> None:
    (tmp_path / "in").mkdir()
    (tmp_path / "secret").touch()
    (got,) = contents(f"folder:{tmp_path}/in", {}, ids=["../secret"])
    assert "leads out of the folder" in reason(got)


def test_files_are_read_as_text_when_asked(tmp_path: Path) -> None:
    (tmp_path / "1.txt").write_text("größer", encoding="utf-8")
    (tmp_path / "2.txt").write_bytes(b"\xff\xfe")
    spec = f"folder:{tmp_path}?pattern={{id}}.txt&as=text"
    text, broken = contents(spec, {}, {}, ids=[1, 2])
    assert text == "größer" and "UTF-8" in reason(broken)


def test_ids_are_contents() -> None:
    assert contents("id", {}, {}, ids=[2**63 - 1, "a"]) == [2**63 - 1, "a"]


@pytest.mark.parametrize(
    ("spec", "why"),
    [
        ("payload:", "names no field"),
        ("payload:a?as=file", "as=file and folder=DIR go together"),
        ("payload:a?folder=x", "as=file and folder=DIR go together"),
        ("payload:a?as=xml", "wanted text or base64 or file"),
        ("folder:/no/such/folder", "is no folder"),
        ("folder:/?pattern=a.png", "has no {id}"),
        ("id:x?a=1", "has no option 'a'"),
        ("mystery:x", "no item source of kind 'mystery'.*payload"),
    ],
)
def test_a_spec_that_can_t_work_says_why(spec: str, why: str) -> None:
    with pytest.raises(InvalidInput, match=why):
        load_source(spec)
