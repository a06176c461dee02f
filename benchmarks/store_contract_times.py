"""How long the contract and a game of the state machine take on each store.

    python -m benchmarks.store_contract_times

Writes benchmarks/results/store_contract_times.md. Every test opens a collection of its own, so
this is mostly the cost of opening, of small writes and of closing; it says little of large loads.
"""

from __future__ import annotations

import os
import platform
import sys
import time
from dataclasses import dataclass, field
from pathlib import Path

import pytest

RESULT = Path(__file__).parent / "results" / "store_contract_times.md"
CONTRACT = "tests/stores/test_contract.py"
MACHINE = "tests/stores/test_machine.py"
STORES = {
    "memory": (f"{CONTRACT}::TestMemory", f"{MACHINE}::test_two_oracles_agree"),
    "qdrant": (
        f"{CONTRACT}::TestQdrant",
        f"{MACHINE}::test_a_store_agrees_with_the_oracle[qdrant]",
    ),
    "faiss": (f"{CONTRACT}::TestFaiss", f"{MACHINE}::test_a_store_agrees_with_the_oracle[faiss]"),
    "lancedb": (
        f"{CONTRACT}::TestLanceDB",
        f"{MACHINE}::test_a_store_agrees_with_the_oracle[lancedb]",
    ),
    "postgresql": (f"{CONTRACT}::TestPgvector", f"{MACHINE}::test_pgvector_agrees_with_the_oracle"),
    "qdrant+http, local mode": (
        f"{CONTRACT}::TestQdrantClient",
        f"{MACHINE}::test_the_store_of_a_qdrant_server_agrees_with_the_oracle",
    ),
}


@dataclass
class Times:
    """A plugin of pytest that adds up what tests took, in setup, call and teardown."""

    seconds: dict[str, float] = field(default_factory=dict)
    outcomes: list[str] = field(default_factory=list)

    def pytest_runtest_logreport(self, report: pytest.TestReport) -> None:
        name = report.nodeid.rpartition("::")[2]
        self.seconds[name] = self.seconds.get(name, 0.0) + report.duration
        if report.when == "call" or report.outcome != "passed":
            self.outcomes.append(report.outcome)


def measured(node: str) -> tuple[Times, float]:
    """The times of a test or a class of tests, and the CPU seconds of this process."""
    times, start = Times(), time.process_time()
    if pytest.main([node, "-q", "-m", "slow or not slow"], plugins=[times]):
        sys.exit(f"{node} failed; nothing is written")
    return times, time.process_time() - start


def row(store: str, contract: str, machine: str) -> str:
    """A line of the table."""
    times, cpu = measured(contract)
    skipped = times.outcomes.count("skipped")
    slowest = max(times.seconds, key=lambda name: times.seconds[name])
    game, _ = measured(machine)
    return (
        f"| `{store}` | {times.outcomes.count('passed')} | {skipped} "
        f"| {sum(times.seconds.values()):.1f} | {cpu:.1f} "
        f"| {slowest.removeprefix('test_').replace('_', ' ')} ({times.seconds[slowest]:.1f}) "
        f"| {sum(game.seconds.values()):.1f} |"
    )


def main() -> None:
    """Measure all stores and write the table."""
    rows = [row(store, *nodes) for store, nodes in STORES.items()]
    RESULT.write_text(
        "# The contract's time on each store\n\n"
        f"Made by `python -m benchmarks.store_contract_times`; Python {platform.python_version()}, "
        f"{platform.system()} {platform.machine()}, {os.cpu_count()} cores, which others used at "
        "the same time: compare CPU rather than wall seconds. CPU is that of the test process, "
        "without PostgreSQL's own.\n\n"
        "| store | tests passed | skipped | wall seconds | CPU seconds | slowest (wall seconds) "
        "| state machine, wall seconds |\n"
        "| --- | --- | --- | --- | --- | --- | --- |\n" + "\n".join(rows) + "\n"
    )


if __name__ == "__main__":
    main()
