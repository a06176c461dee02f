"""The demo end to end, with real images, models, store and backfill, only smaller."""

import json
import re
import signal
import subprocess
import sys
from html.parser import HTMLParser
from pathlib import Path

import numpy as np
import pytest
import torch

import crossfade
from crossfade.demo import DemoPlan, DemoResult, run_demo
from crossfade.demo.folder import claim_folder
from crossfade.errors import InvalidInput, MissingExtra, OutputError

PLAN = DemoPlan(
    training_images=400,
    gallery_images=120,
    query_images=20,
    live_queries=20,
    old_epochs=1,
    new_epochs=2,
    fit_epochs=2,
    items_per_second=400,
)


@pytest.fixture(scope="module")
def result(tmp_path_factory: pytest.TempPathFactory) -> DemoResult:
    """One small demo, run once."""
    return run_demo(tmp_path_factory.mktemp("out") / "demo", seed=0, plan=PLAN)


def test_the_running_gallery_answers_as_the_evaluation_says_at_both_ends(
    result: DemoResult,
) -> None:
    curve = result.evaluation.metrics["map"]
    first, last = result.live[0], result.live[-1]
    assert (first.coverage, last.coverage) == (0.0, 1.0)
    # Two scores are 6e-10 apart: rounding decides which of the two items is first.
    assert first.mean_average_precision == pytest.approx(curve[0], abs=1e-4)
    assert last.mean_average_precision == pytest.approx(curve[-1], abs=1e-4)
    assert result.live_old == pytest.approx(result.evaluation.old_old["map"])
    assert result.live_new == pytest.approx(result.evaluation.new_new["map"])


def test_live_coverage_never_falls(result: DemoResult) -> None:
    coverage = [point.coverage for point in result.live]
    assert coverage == sorted(coverage)
    assert result.answered >= 2 * PLAN.live_queries


def test_the_gallery_is_left_on_disk_with_every_item_on_the_new_side(result: DemoResult) -> None:
    with crossfade.open_gallery(f"qdrant://{result.gallery}", result.upgrade) as gallery:
        assert (gallery.count, gallery.coverage) == (PLAN.gallery_images, 1.0)


def test_the_pages_need_no_network(result: DemoResult) -> None:
    for page in (result.page, result.page.with_name("examples.html")):
        links = _Links(page.read_text(encoding="utf-8")).found
        outside = [link for link in links if not re.match("data:image/png;base64,|#", link)]
        assert all((page.parent / link).is_file() for link in outside), outside
    assert "examples.html" in _Links(result.page.read_text(encoding="utf-8")).found


def test_the_examples_show_every_moment_as_pictures_with_right_and_wrong_marked(
    result: DemoResult,
) -> None:
    html = result.page.with_name("examples.html").read_text(encoding="utf-8")
    for moment in ("old system", "0 %", "50 %", "100 %"):
        assert f'<span class="name">{moment}</span>' in html
    examples, stages, results = html.count('class="example"'), 4, 10
    assert examples >= 8
    assert html.count("<img") == examples * (1 + stages * results)
    marked = [html.count(f'class="thumb {mark}" title') for mark in ("right", "wrong")]
    assert sum(marked) == examples * stages * results
    assert min(marked) > 0


def test_the_result_is_one_json_object(result: DemoResult) -> None:
    described = json.loads(json.dumps(result.to_json(), allow_nan=False))
    assert described["method"] == "contrastive"
    assert len(described["live"]["coverage"]) == len(described["live"]["map"])


def test_a_second_run_in_the_folder_replaces_the_first_and_repeats_its_curve(
    result: DemoResult, capsys: pytest.CaptureFixture[str]
) -> None:
    threads = torch.get_num_threads()
    again = run_demo(result.page.parents[1], seed=0, plan=PLAN)
    np.testing.assert_allclose(
        again.evaluation.metrics["map"], result.evaluation.metrics["map"], atol=1e-6
    )
    out, err = capsys.readouterr()
    assert out == ""
    assert "coverage 100%" in err
    assert "\x1b" not in err
    assert torch.get_num_threads() == threads


def test_a_foreign_folder_is_refused_before_anything_is_trained(tmp_path: Path) -> None:
    (tmp_path / "mine.txt").write_text("x")
    with pytest.raises(OutputError, match="no earlier demo"):
        run_demo(tmp_path, plan=PLAN)
    assert [path.name for path in tmp_path.iterdir()] == ["mine.txt"]


def test_a_plan_that_cannot_be_carried_out_writes_nothing(tmp_path: Path) -> None:
    with pytest.raises(InvalidInput, match="ships"):
        run_demo(tmp_path / "demo", plan=DemoPlan(training_images=10**6))
    assert not (tmp_path / "demo").exists()


def test_a_missing_package_is_named_with_the_line_that_installs_it(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setitem(sys.modules, "jinja2", None)
    with pytest.raises(MissingExtra, match=r'jinja2.*pip install "crossfade\[demo\]"'):
        run_demo(tmp_path / "demo", plan=PLAN)
    assert not (tmp_path / "demo").exists()


def test_an_interrupt_during_the_backfill_leaves_the_folder_free(tmp_path: Path) -> None:
    script = (
        "import sys\n"
        "from crossfade.demo import DemoPlan, run_demo\n"
        f"plan = {PLAN!r}\n"
        "try: run_demo(sys.argv[1], plan=plan)\n"
        "except KeyboardInterrupt: sys.exit(130)\n"
    ).replace("items_per_second=400", "items_per_second=5")
    command = [sys.executable, "-c", script, str(tmp_path / "demo")]
    with subprocess.Popen(command, stderr=subprocess.PIPE, text=True) as process:
        assert process.stderr is not None
        for line in process.stderr:
            if "coverage" in line:
                process.send_signal(signal.SIGINT)
                break
        rest = process.stderr.read()
    assert process.returncode == 130
    assert "Traceback" not in rest
    with claim_folder(tmp_path / "demo") as folder:
        assert not folder.gallery.exists()


class _Links(HTMLParser):
    """Everything that a page would load or lead to."""

    def __init__(self, html: str) -> None:
        super().__init__()
        self.found: list[str] = []
        self.feed(html)

    def handle_starttag(self, tag: str, attributes: list[tuple[str, str | None]]) -> None:
        assert tag not in ("script", "link", "iframe")
        self.found += [
            value for name, value in attributes if name in ("src", "href", "xlink:href") and value
        ]
