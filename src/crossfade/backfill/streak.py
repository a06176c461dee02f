"""An encoder that fails on everything must stop a job before the whole gallery is parked."""

from __future__ import annotations

import threading

from crossfade.errors import EncoderError
from crossfade.gallery.encoding import Encoded
from crossfade.stores import Id

__all__ = ["Streak"]

_HOPELESS = 8
"""So many failed items before the first success mean that the encoder is at fault."""
_HOPELESS_LATER = 256
"""So many failed items in a row after a success mean the same."""


class Streak:
    """How many items have failed in a row, for all workers of a run.

    An encoder that has worked may meet a run of bad items; one that dies, an endless run.
    """

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._failures = 0
        self._succeeded = False

    def check(self, encoded: Encoded, failed_before: set[Id]) -> None:
        """Stop a job whose encoder can't do anything before it parks the whole gallery.

        Items that it has failed on before say nothing new, and are parked again at no loss.

        Raises:
            EncoderError: too many have failed.
        """
        fresh = [id for id in encoded.failures if id not in failed_before]
        with self._lock:
            if encoded.vectors:
                self._failures, self._succeeded = 0, True
                return
            self._failures += len(fresh)
            if not fresh or self._failures < (_HOPELESS_LATER if self._succeeded else _HOPELESS):
                return
            which = "last" if self._succeeded else "first"
            raise EncoderError(
                f"the encoder failed on all of the {which} {self._failures} items: "
                f"{encoded.failures[fresh[0]]}. The items stay in the queue; mend the encoder "
                "and run again"
            )
