"""The report folder: complete, self-contained, repeatable, and all or nothing."""

from __future__ import annotations

import json
import re
import shutil
import subprocess
import sys
from dataclasses import replace
from html.parser import HTMLParser
from pathlib import Path
from xml.etree import ElementTree

import numpy as np
import pytest

from crossfade.embeddings import Pairs, Space
from crossfade.errors import InvalidInput, MissingExtra, OutputError
from crossfade.evaluation import EvaluationResult, Page, evaluate, write_report
from crossfade.upgrade import Affine, Side, Transform, Upgrade

FILES = {"report.json", "report.md", "index.html", "curve.svg", "flips.svg", "scores.svg"}


def gallery() -> Pairs:
    generator = np.random.default_rng(0)
    labels = np.arange(80) % 4
    centres = generator.normal(size=(4, 5))
    new = centres[labels] + 0.6 * generator.normal(size=(80, 5))
    old = new[:, :4] + generator.normal(size=(80, 4))
    return Pairs.of(np.arange(80), old, new, labels, old_name="clip-a", new_name="clip-b")


@pytest.fixture(scope="module")
def results() -> dict[str, EvaluationResult]:
    pairs = gallery()
    weight = np.linalg.lstsq(pairs.old, pairs.new, rcond=None)[0].astype(np.float32)
    forward = Transform(skip=Affine(weight, np.zeros(5, dtype=np.float32)))
    upgrades = [
        Upgrade("forward_ridge", pairs.source, pairs.target, Side.ITEMS, forward=forward),
        Upgrade("rank_merge", pairs.source, pairs.target, Side.NONE),
    ]
    return {upgrade.method: evaluate(upgrade, pairs) for upgrade in upgrades}


@pytest.fixture(scope="module")
def folder(results: dict[str, EvaluationResult], tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A written report on both methods."""
    return write_report(results, tmp_path_factory.mktemp("written") / "report").parent


class Links(HTMLParser):
    """Everything that a browser would load or follow, and every tag left open."""

    def __init__(self) -> None:
        super().__init__()
        self.targets: list[str] = []
        self.tags: list[str] = []

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.tags.append(tag)
        self.targets += [value or "" for name, value in attrs if name in ("src", "href")]


def test_one_method_gets_a_whole_folder(
    tmp_path: Path, results: dict[str, EvaluationResult]
) -> None:
    result = results["forward_ridge"]
    page = write_report({"forward_ridge": result}, tmp_path / "report")
    assert page == tmp_path / "report" / "index.html"
    assert {file.name for file in page.parent.iterdir()} == FILES
    assert "Methods compared" not in page.read_text()
    assert json.loads((page.parent / "report.json").read_text()) == result.to_json()
    for name in ("curve", "flips", "scores"):
        assert ElementTree.parse(page.parent / f"{name}.svg").getroot().tag.endswith("svg")


def test_the_page_needs_no_network_and_no_script(folder: Path) -> None:
    text = (folder / "index.html").read_text()
    links = Links()
    links.feed(text)
    assert {link for link in links.targets if not link.startswith("#")} == {
        "report.json",
        "report.md",
    }
    assert "script" not in links.tags
    assert links.tags.count("svg") == 3
    assert not re.search(r"@import|url\((?!#)", text)


def test_several_methods_are_compared_and_the_first_is_in_question(folder: Path) -> None:
    stored = json.loads((folder / "report.json").read_text())
    assert stored["method"] == "forward_ridge"
    assert {name: found["method"] for name, found in stored["methods"].items()} == {
        "forward_ridge": "forward_ridge",
        "rank_merge": "rank_merge",
    }
    for name in ("index.html", "report.md"):
        text = (folder / name).read_text()
        assert "Methods compared" in text
        assert "rank_merge" in text


def test_every_table_row_of_the_markdown_has_its_heads_width(folder: Path) -> None:
    text = (folder / "report.md").read_text()
    tables = [block for block in text.split("\n\n") if block.startswith("|")]
    assert len(tables) == 4
    for table in tables:
        assert len({line.count("|") for line in table.strip().splitlines()}) == 1, table
    assert "| 100 % |" in text


def test_the_same_results_give_the_same_bytes(
    tmp_path: Path, folder: Path, results: dict[str, EvaluationResult]
) -> None:
    write_report(results, tmp_path / "again")
    for name in FILES:
        assert (tmp_path / "again" / name).read_bytes() == (folder / name).read_bytes(), name


def test_names_are_text_and_not_markup(
    tmp_path: Path, results: dict[str, EvaluationResult]
) -> None:
    hostile = replace(results["rank_merge"], source=Space("<script>x</script>", 4))
    text = write_report({"a<b> $x_$": hostile}, tmp_path / "report").read_text()
    assert "<script>" not in text
    assert "&lt;script&gt;" in text
    assert "a&lt;b&gt; $x_$" in text


def test_further_pages_stand_beside_the_report(
    tmp_path: Path, results: dict[str, EvaluationResult]
) -> None:
    page = Page("examples.html", "Example queries", "<p>pictures</p>")
    index = write_report(results, tmp_path / "report", title="Demo", pages=[page])
    assert (index.parent / "examples.html").read_text() == "<p>pictures</p>"
    assert '<a href="examples.html">Example queries</a>' in index.read_text()
    assert "<title>Demo: clip-a" in index.read_text()


def test_an_earlier_report_is_replaced_and_a_foreign_folder_is_not(
    tmp_path: Path, folder: Path, results: dict[str, EvaluationResult]
) -> None:
    one = {"rank_merge": results["rank_merge"]}
    report = tmp_path / "report"
    shutil.copytree(folder, report)
    write_report(one, report)
    assert "methods" not in json.loads((report / "report.json").read_text())
    (tmp_path / "mine").mkdir()
    (tmp_path / "mine" / "thesis.txt").write_text("years of work")
    with pytest.raises(OutputError, match="holds other files"):
        write_report(one, tmp_path / "mine")
    assert [file.name for file in (tmp_path / "mine").iterdir()] == ["thesis.txt"]


@pytest.mark.parametrize("package", ["matplotlib", "jinja2"])
def test_an_absent_package_is_named_with_its_extra(
    package: str,
    tmp_path: Path,
    results: dict[str, EvaluationResult],
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setitem(sys.modules, package, None)
    with pytest.raises(MissingExtra, match=r'pip install "crossfade\[report\]"'):
        write_report(results, tmp_path / "report")
    assert list(tmp_path.iterdir()) == []


def test_no_results_and_unknown_metrics_are_refused(
    tmp_path: Path, results: dict[str, EvaluationResult]
) -> None:
    with pytest.raises(InvalidInput, match="at least one result"):
        write_report({}, tmp_path / "report")
    with pytest.raises(InvalidInput, match="unknown metric 'mAP'"):
        write_report(results, tmp_path / "report", primary="mAP")


def test_a_result_without_gain_can_be_reported(tmp_path: Path) -> None:
    pairs = gallery()
    same = Pairs.of(pairs.ids, pairs.new, pairs.new, pairs.labels)
    upgrade = Upgrade("rank_merge", same.source, same.target, Side.NONE)
    page = write_report({"rank_merge": evaluate(upgrade, same)}, tmp_path / "report")
    assert "No gain" in page.read_text()
    assert json.loads((page.parent / "report.json").read_text())["gain_share"]["map"] is None


def test_importing_the_package_loads_no_optional_package() -> None:
    code = "import crossfade, sys; print({'matplotlib', 'jinja2', 'torch'} & set(sys.modules))"
    ran = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert ran.stdout.strip() == "set()"
