"""The table of suites, and the parts of their builders that no package is needed for."""

from __future__ import annotations

import subprocess
import sys
from collections import Counter
from pathlib import Path

import numpy as np
import pytest
from bench_worlds import small_data

from crossfade.bench import ALL, BuildPlan, Setting, suites_named
from crossfade.bench.measure import is_method
from crossfade.bench.packages import PythonPackage, require
from crossfade.bench.suites.fashion import SUITES as FASHION
from crossfade.bench.suites.splits import split_classes, split_rows
from crossfade.bench.suites.wesnoth import unit_type
from crossfade.errors import DataFileError, InvalidInput, MissingPackage
from crossfade.evaluation import METRICS


def test_names_are_unique_and_everything_named_exists() -> None:
    assert max(Counter(suite.name for suite in ALL).values()) == 1
    for suite in ALL:
        assert suite.metric in METRICS
        assert all(is_method(name) for name in suite.methods)
        assert suite.name != suite.family or len(suites_named([suite.family])) == 1


def test_every_setting_of_the_literature_has_a_local_suite() -> None:
    local = {suite.setting for suite in ALL if not suite.reads_data}
    assert local == {*Setting} - {Setting.OWN}


def test_suites_are_named_by_name_family_and_all_local_each_once() -> None:
    assert [s.name for s in suites_named(["emoji-vendors", "emoji"])] == [
        "emoji-vendors",
        "emoji-step-back",
    ]
    assert suites_named(["all-local", "fashion"]) == [
        suite for suite in ALL if not suite.reads_data
    ]


def test_a_users_folder_is_a_suite(tmp_path: Path) -> None:
    small_data().save(tmp_path / "mine")
    (suite,) = suites_named([str(tmp_path / "mine")])
    data = suite.build(BuildPlan(0, quick=False, say=print))
    assert (suite.name, suite.metric, len(data.fit)) == ("mine", "map", 120)
    (by_rank,) = suites_named([str(tmp_path / "mine")], metric="cmc@1")
    assert by_rank.metric == "cmc@1"


def test_what_is_no_suite_is_refused(tmp_path: Path) -> None:
    with pytest.raises(InvalidInput, match=r"no suite and no folder or \.npz file 'nothing'"):
        suites_named(["nothing"])
    with pytest.raises(DataFileError, match=r"holds no fit.npz"):
        suites_named([str(tmp_path)])
    with pytest.raises(InvalidInput, match="unknown metric"):
        suites_named(["emoji"], metric="loss")


def test_missing_packages_are_told_with_one_line_that_installs_them() -> None:
    packages = [PythonPackage("numpy", "numpy"), PythonPackage("no_such_b", "b==2"),
                PythonPackage("no_such_a", "a==1"), PythonPackage("no_such_b", "b==2")]  # fmt: skip
    with pytest.raises(MissingPackage, match=r"pip install a==1 b==2$"):
        require(packages)


def test_requirements_of_all_suites_are_in_the_benchmarks_file() -> None:
    listed = Path("benchmarks/requirements.txt").read_text().split()
    wanted = {package.requirement for suite in ALL for package in suite.needs} - {"torch"}
    assert wanted <= {*listed}


def test_the_bench_does_not_import_pytorch_before_it_is_needed() -> None:
    script = "import sys, crossfade.cli, crossfade.bench; print('torch' in sys.modules)"
    out = subprocess.run([sys.executable, "-c", script], capture_output=True, text=True, check=True)
    assert out.stdout.strip() == "False"


def test_rows_are_split_within_classes_and_classes_as_a_whole() -> None:
    labels = np.repeat(np.arange(10), 7)
    for split in (split_rows, split_classes):
        fit, rest = split(labels, 0.5, 3)
        assert sorted([*fit, *rest]) == list(range(70))
        again = split(labels, 0.5, 3)
        assert fit.tolist() == again[0].tolist()
        assert fit.tolist() != split(labels, 0.5, 4)[0].tolist()
    fit, rest = split_rows(labels, 0.5, 3)
    assert {*Counter(labels[fit]).values()} <= {3, 4}
    fit, rest = split_classes(labels, 0.5, 3)
    assert len({*labels[fit]}) == 5
    assert {*labels[fit]}.isdisjoint(labels[rest])


def test_a_sprites_type_is_the_shortest_name_of_a_standing_sprite() -> None:
    stems = {"bowman", "bowman-attack-2", "soulless-bat", "soulless-bat-ne-1", "lady", "wose"}
    assert unit_type("bowman-attack-2", stems) == "bowman"
    assert unit_type("bowman", stems) == "bowman"
    assert unit_type("soulless-bat-ne-1", stems) == "soulless-bat"
    assert unit_type("lady", stems) is None


@pytest.mark.parametrize("suite", [one for one in FASHION if one.name != "fashion-other-width"])
@pytest.mark.slow
def test_the_quick_fashion_suites_build_and_new_is_better(suite: object) -> None:
    data = suite.build(BuildPlan(1, quick=True, say=lambda _: None))
    assert (data.fit.source.dim, data.fit.target.dim) == (64, 128)
    assert len(data.fit) <= 2_000
    assert set(data.fit.ids).isdisjoint(data.gallery.ids)
    if suite.setting is Setting.OPEN_CLASS:
        assert set(data.fit.labels).isdisjoint(data.gallery.labels)


def test_two_data_sets_of_one_name_are_not_mixed(tmp_path: Path) -> None:
    for folder in ("a", "b"):
        small_data().save(tmp_path / folder / "mine")
    both = [str(tmp_path / folder / "mine") for folder in ("a", "b")]
    assert len(suites_named([both[0], both[0]])) == 1
    with pytest.raises(InvalidInput, match="both named 'mine'"):
        suites_named(both)


def test_a_users_data_is_measured_whole_and_says_so(tmp_path: Path) -> None:
    small_data().save(tmp_path / "mine")
    (suite,) = suites_named([str(tmp_path / "mine")])
    said: list[str] = []
    assert len(suite.build(BuildPlan(0, quick=True, say=said.append)).fit) == 120
    assert "measured whole" in said[0]
