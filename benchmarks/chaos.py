"""Kills a gallery's whole life under live traffic and counts what was lost.

    python -m benchmarks.chaos [KILLS] [STORE ...]

By default 200 kills of qdrant and postgresql. Adds a line for each store to
benchmarks/results/chaos.md.
"""

from __future__ import annotations

import os
import platform
import sys
import tempfile
from pathlib import Path

from crossfade.testing import PostgresServer
from crossfade.testing.chaos import FaultKind, Report, torment

RESULT = Path(__file__).parent / "results" / "chaos.md"
HEAD = (
    "# Kills\n\n"
    "Made by `python -m benchmarks.chaos [KILLS] [STORE ...]`: a process goes through the whole "
    "lifecycle (start, half a backfill, rollback, start, backfill with pauses, finish) and is sent "
    "SIGKILL at random moments, while a writer aims at 50 operations a second (a busy machine gets "
    "fewer) and two readers search for everything. In a folder, writer and readers die too; beside "
    "a server they are a process of their own, which lives on. Each search is compared with what "
    "was live while it ran, the store after each kill with what was acknowledged.\n\n"
    "| store | kills | lives | operations acknowledged | searches | lost | doubled | stale "
    "| undead | broken | seconds | machine |\n"
    "| --- | --- | --- | --- | --- | --- | --- | --- | --- | --- | --- | --- |\n"
)


def measured(store: str, kills: int) -> Report:
    """The kills of a store."""
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        if store != "postgresql":
            return torment(lambda life: f"{store}://{folder}/{life}", folder, kills=kills)
        with PostgresServer() as server:
            return torment(
                lambda life: server.uri(table=f"life_{life}"),
                folder,
                kills=kills,
                traffic_apart=True,
            )


def line(store: str, report: Report) -> str:
    """A row of the table."""
    faults = " | ".join(str(report.count(kind)) for kind in FaultKind)
    return (
        f"| `{store}` | {report.kills} | {report.lives} | {report.acknowledged} "
        f"| {report.searches} | {faults} | {report.seconds:.0f} "
        f"| Python {platform.python_version()}, {os.cpu_count()} cores |\n"
    )


def main() -> None:
    """Kill, and write."""
    kills = int(sys.argv[1]) if len(sys.argv) > 1 else 200
    failed = False
    for store in sys.argv[2:] or ["qdrant", "postgresql"]:
        report = measured(store, kills)
        print(store, report)
        failed |= bool(report.faults)
        with RESULT.open("a") as file:
            file.write(line(store, report) if file.tell() else HEAD + line(store, report))
    sys.exit(failed)


if __name__ == "__main__":
    main()
