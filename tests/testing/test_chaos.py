"""A whole lifecycle, killed again and again under live traffic."""

import os
from pathlib import Path

import pytest

from crossfade.testing import PostgresServer
from crossfade.testing.chaos import MOMENTS, Report, torment

KILLS = int(os.environ.get("CROSSFADE_CHAOS_KILLS", "200"))
"""Of the long tests."""


def torment_folder(scheme: str, folder: Path, kills: int, moment: str = "random") -> Report:
    return torment(lambda life: f"{scheme}://{folder}/{life}", folder, kills=kills, moment=moment)


def torment_server(
    postgres: PostgresServer, folder: Path, name: str, kills: int, moment: str = "random"
) -> Report:
    return torment(
        lambda life: postgres.uri(table=f"chaos_{name}_{life}"),
        folder,
        kills=kills,
        moment=moment,
        traffic_apart=True,
    )


def check(report: Report, kills: int) -> None:
    assert not report.faults, str(report)
    assert report.kills == kills
    assert report.searches and report.acknowledged > report.lives


# Each process that is killed imports LanceDB anew: it can't be forked.
@pytest.mark.parametrize(
    "scheme", ["qdrant", "faiss", pytest.param("lancedb", marks=pytest.mark.slow)]
)
def test_a_life_in_a_folder_survives_five_kills(tmp_path: Path, scheme: str) -> None:
    check(torment_folder(scheme, tmp_path, 5), 5)


def test_a_life_on_a_server_survives_five_kills(tmp_path: Path, postgres: PostgresServer) -> None:
    check(torment_server(postgres, tmp_path, "short", 5), 5)


@pytest.mark.slow
@pytest.mark.timeout(7200)
def test_lives_in_a_folder_survive_two_hundred_kills(tmp_path: Path) -> None:
    check(torment_folder("qdrant", tmp_path, KILLS), KILLS)


@pytest.mark.slow
@pytest.mark.timeout(7200)
def test_lives_on_a_server_survive_two_hundred_kills(
    tmp_path: Path, postgres: PostgresServer
) -> None:
    check(torment_server(postgres, tmp_path, "long", KILLS), KILLS)


@pytest.mark.slow
@pytest.mark.parametrize("moment", MOMENTS[1:])
def test_a_life_in_a_folder_survives_a_kill_after_each_step(tmp_path: Path, moment: str) -> None:
    check(torment_folder("qdrant", tmp_path, 3, moment), 3)


@pytest.mark.slow
@pytest.mark.parametrize("moment", MOMENTS[1:])
def test_a_life_on_a_server_survives_a_kill_after_each_step(
    tmp_path: Path, postgres: PostgresServer, moment: str
) -> None:
    check(torment_server(postgres, tmp_path, moment.replace("-", "_"), 3, moment), 3)
