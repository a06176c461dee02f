"""Kills a gallery's life again and again, and looks at what is left each time."""

from __future__ import annotations

import multiprocessing
import random
import signal
import time
from collections import Counter
from collections.abc import Callable, Iterator
from contextlib import contextmanager, nullcontext, suppress
from dataclasses import dataclass, field
from multiprocessing.connection import Connection
from multiprocessing.process import BaseProcess
from pathlib import Path

from crossfade.backfill.worker import STEPS
from crossfade.gallery import Phase
from crossfade.stores import Draft, open_store
from crossfade.testing.chaos import life
from crossfade.testing.chaos.checks import Fault, FaultKind, check_look, check_searches, look
from crossfade.testing.chaos.content import UPGRADE, Content, old_of
from crossfade.testing.chaos.ledger import Ledger, read_ledger
from crossfade.testing.chaos.life import Part, live, write_and_search
from crossfade.testing.chaos.traffic import IDS

__all__ = ["MOMENTS", "Report", "torment"]

MOMENTS = ("random", *STEPS, "pointer-swapped", "space-added", "space-dropped")
"""When to kill: at random, or after a step."""
_LONGEST_SECONDS = 2.0
_TIMEOUT_SECONDS = 120.0
_PRELOADED = ["crossfade.stores.qdrant.store", "crossfade.stores.pgvector.store"]


@dataclass
class Report:
    """What came of it."""

    kills: int = 0
    lives: int = 0
    seconds: float = 0.0
    acknowledged: int = 0
    refused: int = 0
    searches: int = 0
    looks: int = 0
    faults: list[Fault] = field(default_factory=list)

    def count(self, kind: FaultKind) -> int:
        """How many faults of a kind there were."""
        return Counter(fault.kind for fault in self.faults)[kind]

    def __str__(self) -> str:
        shown = "".join(f"\n  {fault.kind}: {fault.text}" for fault in self.faults[:20])
        return (
            f"{self.kills} kills in {self.lives} lives and {self.seconds:.0f} s: "
            f"{self.acknowledged} operations acknowledged, {self.refused} refused, "
            f"{self.searches} searches, {self.looks} looks, {len(self.faults)} faults{shown}"
        )


def torment(
    uri_of: Callable[[int], str],
    folder: Path,
    *,
    kills: int,
    seed: int = 0,
    moment: str = "random",
    traffic_apart: bool = False,
) -> Report:
    """Kill so many times in all; a life that got to its end is followed by another.

    Args:
        uri_of: where the gallery of the n-th life is.
        folder: for ledgers.
        moment: one of ``MOMENTS``.
        traffic_apart: writer and readers are a process of their own, which is not killed; for
            stores that several processes may open.
    """
    report, moments, started = Report(), random.Random(seed), time.monotonic()
    while report.kills < kills and not report.faults:
        report.lives += 1
        one = _Life(uri_of(report.lives), folder / f"ledger-{report.lives}", report, moments)
        one.fill()
        with one.traffic() if traffic_apart else nullcontext():
            one.kill_often(kills, moment, with_traffic=not traffic_apart)
        one.check_end()
    report.seconds = time.monotonic() - started
    return report


@dataclass
class _Life:
    uri: str
    path: Path
    report: Report
    moments: random.Random

    def fill(self) -> None:
        """The collection as it was before any upgrade."""
        ledger = Ledger(self.path)
        contents = {id: Content(id + 1, True, False) for id in range(0, IDS, 2)}
        mark = ledger.intend(contents)
        with open_store(self.uri) as store:
            store.ensure_space(UPGRADE.source)
            store.put(
                [
                    Draft(
                        id,
                        {UPGRADE.source.name: old_of(content.revision)},
                        {"revision": content.revision},
                    )
                    for id, content in contents.items()
                ]
            )
        ledger.answer(mark)

    def kill_often(self, kills: int, moment: str, *, with_traffic: bool) -> None:
        """Until it has got to its end, or there were enough kills; then let it get there."""
        while self.report.kills < kills and not self.report.faults:
            killed = self._run(moment, with_traffic)
            self._look()
            if not killed:
                return
            self.report.kills += 1
        if not self.report.faults:
            self._run("never", with_traffic)

    def _run(self, moment: str, with_traffic: bool) -> bool:
        """Returns whether it was killed."""
        if moment in ("random", "never"):
            part = self._part()
        else:
            part = self._part(moment, self.moments.randint(2, 9))
        with _process(live, part, with_traffic=with_traffic) as (process, _):
            if moment == "random":
                process.join(self.moments.uniform(0.0, _LONGEST_SECONDS))
                process.kill()
            process.join(_TIMEOUT_SECONDS)
            if process.exitcode is None:
                self._fault(f"a run does not end in {_TIMEOUT_SECONDS} s")
            killed = process.exitcode == -signal.SIGKILL
            if not killed and process.exitcode:
                self._fault(f"a run ended with {process.exitcode}")
        return killed

    def _part(self, step: str = "", times: int = 1) -> Part:
        return Part(self.uri, self.path, self.moments.randrange(2**31), step, times)

    def _fault(self, text: str) -> None:
        self.report.faults.append(Fault(FaultKind.BROKEN, text))

    def _look(self) -> None:
        """What the store holds between two runs; it is opened, but nothing is carried out."""
        with open_store(self.uri) as store:
            seen = look(store)
        self.report.looks += 1
        self.report.faults += check_look(seen, read_ledger(self.path))

    def check_end(self) -> None:
        """Everything, now that nobody writes any more."""
        self._look()
        with open_store(self.uri) as store:
            last = look(store)
            spaces = set(store.spaces())
        if not self.report.faults and (
            last.phase is not Phase.FINISHED or spaces != {UPGRADE.stored.name}
        ):
            self._fault(f"a life ended as {last.phase}, with spaces {sorted(spaces)}")
        history = read_ledger(self.path)
        self.report.faults += check_searches(history)
        self.report.acknowledged += history.acknowledged
        self.report.refused += history.refused
        self.report.searches += len(history.searches)

    @contextmanager
    def traffic(self) -> Iterator[None]:
        """Writer and readers in a process of their own."""
        with _process(write_and_search, self._part()) as (process, connection):
            yield
            connection.send(True)
            process.join(_TIMEOUT_SECONDS)
            if process.exitcode:
                self._fault(f"the traffic ended with {process.exitcode}")


@contextmanager
def _process(
    target: Callable[..., None], part: Part, **given: bool
) -> Iterator[tuple[BaseProcess, Connection]]:
    """A process that has opened its store; it is dead afterwards.

    It is forked from one that has imported everything: two hundred times the imports would take
    longer than all the rest.
    """
    context = multiprocessing.get_context("forkserver")
    context.set_forkserver_preload([life.__name__, *_PRELOADED])
    ours, theirs = context.Pipe()
    process = context.Process(target=target, args=(part, theirs), kwargs=given, daemon=True)
    process.start()
    theirs.close()
    try:
        with suppress(EOFError):
            ours.recv()
        yield process, ours
    finally:
        process.kill()
        process.join()
        process.close()
        ours.close()
