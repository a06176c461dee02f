"""Holding a job back: items a second, a limit of load, hours in which it rests."""

from __future__ import annotations

import os
import re
import threading
import time
from collections.abc import Callable
from dataclasses import dataclass
from datetime import datetime
from datetime import time as time_of_day

from crossfade.errors import InvalidInput

__all__ = ["Brake", "QuietHours", "Throttle", "system_load"]

_HOURS = re.compile(r"(\d\d):(\d\d)-(\d\d):(\d\d)")
_LOOK_SECONDS = 1.0
_BATCH_SECONDS = 0.5
"""A batch is made small enough to take its share of the rate in about so long."""


def system_load() -> float:
    """How many processes ran or waited to run, on average over the last minute."""
    return os.getloadavg()[0]


@dataclass(frozen=True)
class QuietHours:
    """Local times of day between which a job rests; from the first on, until before the last.

    ``22:00-06:00`` goes over midnight.
    """

    begin: time_of_day
    end: time_of_day

    @classmethod
    def parse(cls, text: str) -> QuietHours:
        """From ``HH:MM-HH:MM``.

        Raises:
            InvalidInput: of another form, or both times are the same.
        """
        found = _HOURS.fullmatch(text.strip())
        try:
            if found is None:
                raise ValueError
            first, second, third, fourth = map(int, found.groups())
            hours = cls(time_of_day(first, second), time_of_day(third, fourth))
        except ValueError as error:
            raise InvalidInput(
                f"quiet hours {text!r} can't be read; wanted HH:MM-HH:MM, e.g. 22:00-06:00"
            ) from error
        if hours.begin == hours.end:
            raise InvalidInput(f"quiet hours {text!r} begin when they end; give two times")
        return hours

    def __contains__(self, moment: time_of_day) -> bool:
        if self.begin < self.end:
            return self.begin <= moment < self.end
        return moment >= self.begin or moment < self.end


@dataclass(frozen=True)
class Throttle:
    """How far a run is held back. Each process that works on a job has its own.

    Attributes:
        max_rate: items a second at most, or None.
        max_load: no batch is begun while ``load()`` is above it, or None.
        load: what is measured: by default the system's load average. Give a function that
            returns, say, the live search's latency; it is asked about once a second.
        quiet_hours: ``HH:MM-HH:MM``, local time: the job rests then. So ``06:00-22:00`` lets
            it work at night.
    """

    max_rate: float | None = None
    max_load: float | None = None
    load: Callable[[], float] = system_load
    quiet_hours: str | QuietHours | None = None

    def __post_init__(self) -> None:
        if self.max_rate is not None and not 0 < self.max_rate < float("inf"):
            raise InvalidInput(f"max_rate is {self.max_rate}, wanted items a second, above 0")
        if self.max_load is not None and not 0 < self.max_load < float("inf"):
            raise InvalidInput(f"max_load is {self.max_load}, wanted a number above 0")
        if isinstance(self.quiet_hours, str):
            object.__setattr__(self, "quiet_hours", QuietHours.parse(self.quiet_hours))

    def batch_size(self, wanted: int) -> int:
        """How many items to take at once, so that the rate is even."""
        if self.max_rate is None:
            return wanted
        return max(1, min(wanted, round(self.max_rate * _BATCH_SECONDS)))


class Brake:
    """A throttle at work, shared by the workers of a run.

    Args:
        wait: waits so many seconds and returns whether to give up meanwhile.
        now: the local time. clock: seconds, for the rate.
    """

    def __init__(
        self,
        throttle: Throttle,
        wait: Callable[[float], bool],
        now: Callable[[], datetime] = datetime.now,
        clock: Callable[[], float] = time.monotonic,
    ) -> None:
        self._throttle = throttle
        self._wait = wait
        self._now = now
        self._clock = clock
        self._lock = threading.Lock()
        self._free_at = 0.0
        self._look_at = 0.0
        self._busy = False

    @property
    def is_set(self) -> bool:
        """Whether anything holds back."""
        limits = (self._throttle.max_rate, self._throttle.max_load, self._throttle.quiet_hours)
        return limits != (None, None, None)

    def hold(self) -> bool:
        """Return when work may go on; whether to give up instead."""
        while self._is_quiet() or self._is_busy():
            if self._wait(_LOOK_SECONDS):
                return True
        return False

    def pace(self, items: int) -> bool:
        """Return when so many items may be taken; whether to give up instead."""
        if self._throttle.max_rate is None:
            return False
        with self._lock:
            start = max(self._free_at, self._clock())
            self._free_at = start + items / self._throttle.max_rate
        pause = start - self._clock()
        return pause > 0 and self._wait(pause)

    def _is_quiet(self) -> bool:
        hours = self._throttle.quiet_hours
        return isinstance(hours, QuietHours) and self._now().time() in hours

    def _is_busy(self) -> bool:
        if self._throttle.max_load is None:
            return False
        with self._lock:
            if self._clock() >= self._look_at:
                self._busy = self._throttle.load() > self._throttle.max_load
                self._look_at = self._clock() + _LOOK_SECONDS
            return self._busy
