"""One call at a time in a thread beside the caller's: waiting for a store while work goes on."""

from __future__ import annotations

import threading
from collections.abc import Callable
from typing import Generic, TypeVar

__all__ = ["Behind"]

_Result = TypeVar("_Result")


class Behind(Generic[_Result]):
    """A call under way. One that nobody waits for any more does not keep the process alive."""

    def __init__(self, call: Callable[[], _Result]) -> None:
        self._call = call
        self._results: list[_Result] = []
        self._errors: list[BaseException] = []
        self._thread = threading.Thread(target=self._run, name="backfill behind", daemon=True)
        self._thread.start()

    def wait(self) -> None:
        """Return when the call is over, however it ended."""
        self._thread.join()

    def result(self) -> _Result:
        """Wait; what the call returned, or raise what it raised."""
        self.wait()
        if self._errors:
            raise self._errors[0]
        return self._results[0]

    def _run(self) -> None:
        try:
            self._results.append(self._call())
        except BaseException as error:
            self._errors.append(error)
