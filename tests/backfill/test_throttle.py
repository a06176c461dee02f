"""Holding a job back."""

from collections.abc import Callable
from datetime import datetime
from datetime import time as time_of_day
from typing import Any

import pytest

from crossfade.backfill import Backfill, JobState, QuietHours, Throttle
from crossfade.backfill.throttle import Brake, system_load
from crossfade.errors import InvalidInput
from crossfade.gallery import Gallery
from crossfade.testing import FakeEncoder


class Time:
    """A clock that only waiting moves; gives up after ``patience`` seconds."""

    def __init__(self, patience: float = 1e9) -> None:
        self.now = 100.0
        self._patience = 100.0 + patience

    def wait(self, seconds: float) -> bool:
        self.now += seconds
        return self.now > self._patience


def brake(throttle: Throttle, time: Time, now: Callable[[], datetime] = datetime.now) -> Brake:
    return Brake(throttle, time.wait, now, lambda: time.now)


@pytest.mark.parametrize(
    ("hours", "rests", "works"),
    [
        ("22:00-06:00", ["22:00", "23:59", "00:00", "05:59"], ["06:00", "12:00", "21:59"]),
        ("06:00-22:00", ["06:00", "12:00", "21:59"], ["22:00", "00:00", "05:59"]),
        ("00:00-23:59", ["00:00", "23:58"], ["23:59"]),
        ("12:30-00:00", ["12:30", "23:59"], ["00:00", "12:29"]),
    ],
)
def test_a_job_rests_from_the_first_time_until_before_the_last(
    hours: str, rests: list[str], works: list[str]
) -> None:
    quiet = QuietHours.parse(hours)
    assert all(time_of_day.fromisoformat(text) in quiet for text in rests)
    assert not any(time_of_day.fromisoformat(text) in quiet for text in works)


@pytest.mark.parametrize(
    "text", ["", "22-6", "22:00", "24:00-06:00", "22:60-06:00", "6:00-7:00", "06:00-06:00", "x"]
)
def test_quiet_hours_that_are_none_are_refused(text: str) -> None:
    with pytest.raises(InvalidInput, match=r"HH:MM-HH:MM|begin when they end"):
        Throttle(quiet_hours=text)


@pytest.mark.parametrize(
    "settings", [{"max_rate": 0}, {"max_rate": float("inf")}, {"max_load": -1}, {"max_rate": -2.0}]
)
def test_limits_that_are_none_are_refused(settings: dict[str, Any]) -> None:
    with pytest.raises(InvalidInput, match="wanted"):
        Throttle(**settings)


def test_nothing_is_held_back_without_limits() -> None:
    time = Time()
    free = brake(Throttle(), time)
    assert not free.hold() and not free.pace(1_000_000)
    assert time.now == 100.0


def test_batches_come_at_the_rate_allowed() -> None:
    time = Time()
    slow = brake(Throttle(max_rate=10.0), time)
    starts = []
    for _ in range(4):
        assert not slow.pace(5)
        starts.append(time.now)
    assert starts == [100.0, 100.5, 101.0, 101.5]
    time.now += 60
    slow.pace(5)
    assert time.now == 161.5, "time that passed unused is not made up for"


@pytest.mark.parametrize(("rate", "size"), [(None, 64), (10_000.0, 64), (10.0, 5), (0.1, 1)])
def test_a_batch_is_as_small_as_an_even_rate_needs(rate: float | None, size: int) -> None:
    assert Throttle(max_rate=rate).batch_size(64) == size


def test_a_busy_system_is_waited_for_and_asked_about_once_a_second() -> None:
    loads = iter([0.5, 9.0, 9.0, 1.0])
    time = Time()
    polite = brake(Throttle(max_load=2.0, load=lambda: next(loads)), time)
    assert not polite.hold() and not polite.hold()
    time.now += 1
    assert not polite.hold()
    assert time.now == 103.0, "it waited for two of the four"


def test_quiet_hours_are_waited_for() -> None:
    time = Time()
    start = datetime(2026, 3, 1, 23, 59, 58)

    def now() -> datetime:
        return datetime.fromtimestamp(start.timestamp() + time.now - 100.0)

    resting = brake(Throttle(quiet_hours="23:00-00:00"), time, now)
    assert not resting.hold()
    assert time.now == 102.0


@pytest.mark.parametrize(
    "throttle",
    [Throttle(max_load=1.0, load=lambda: 2.0), Throttle(max_rate=0.001)],
    ids=["load", "rate"],
)
def test_a_stop_ends_the_waiting(throttle: Throttle) -> None:
    time = Time(patience=5.0)
    stuck = brake(throttle, time)
    assert (stuck.hold() or stuck.pace(1) or stuck.pace(1)) is True


def test_the_system_s_load_is_a_number() -> None:
    assert system_load() >= 0.0


def test_a_job_keeps_to_its_rate(gallery: Gallery, encoder: FakeEncoder) -> None:
    job = Backfill(gallery, encoder, throttle=Throttle(max_rate=100.0))
    status = job.run(max_items=100)
    # Batches of 50: the second one waits for half a second, in which the first is paid for.
    assert status.rate is not None and status.rate < 250.0
    assert (status.state, status.done) == (JobState.PAUSED, 100)


def test_a_job_goes_on_when_the_system_is_no_longer_busy(
    gallery: Gallery, encoder: FakeEncoder
) -> None:
    loads = iter([5.0, 5.0])
    throttle = Throttle(max_load=1.0, load=lambda: next(loads, 0.0))
    assert Backfill(gallery, encoder, throttle=throttle).run().state is JobState.COMPLETE
    assert next(loads, None) is None
