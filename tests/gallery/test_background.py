"""The thread behind the searches."""

import threading
from concurrent.futures import wait

from crossfade.gallery.background import Background


def test_work_is_done_in_order_and_drained() -> None:
    background, done = Background("test"), []
    for number in range(50):
        background.submit(lambda number=number: done.append(number))
    assert background.drain(10.0) and done == list(range(50))
    assert background.waiting == 0 and background.drain(0.0)


def test_a_failure_is_that_of_its_own_work() -> None:
    background, done = Background("test"), []
    failed = background.submit(lambda: 1 // 0)  # type: ignore[func-returns-value]
    background.submit(lambda: done.append(1))
    assert background.drain(10.0) and done == [1]
    assert isinstance(failed.exception(), ZeroDivisionError)


def test_closing_gives_up_what_waits_and_tells_who_waits_for_it() -> None:
    background, begun, go, done = Background("test"), threading.Event(), threading.Event(), []

    def hold() -> None:
        begun.set()
        go.wait(10.0)

    background.submit(hold)
    waiting = background.submit(lambda: done.append(1))
    begun.wait(10.0)
    assert background.waiting == 1 and not background.drain(0.01)
    background.close(0.01)
    assert wait([waiting], 1.0).done and waiting.cancelled()
    go.set()
    background.close(10.0)
    assert background.submit(lambda: done.append(2)).cancelled() and not done
    assert background.drain(10.0)
