"""Every error that Crossfade raises, as one tree.

Each class is also the builtin that a caller would expect, so ``except ValueError`` keeps
working. Messages say what was got, what was wanted, and what to do.

    CrossfadeError
    |-- InvalidInput (ValueError)         vectors, ids, labels, arguments
    |   `-- SpaceMismatch                 vectors of two embedding spaces would meet
    |-- DataFileError (ValueError)        an embeddings or qrels file that can't be read
    |-- ArtifactError (ValueError)        an upgrade folder: truncated, edited, too new
    |-- OutputError (OSError)             a result that can't be written; nothing is left behind
    |-- MissingExtra (ImportError)        an optional package; carries the exact pip line
    |-- MissingPackage (ImportError)      the same for one that no extra brings
    |-- BenchIncomplete (RuntimeError)    some runs of a benchmark failed; the others are kept
    |-- StoreError (RuntimeError)         a vector store refused for good
    |   `-- StoreUnavailable (ConnectionError)   ... or for now: may be tried again
    |-- GalleryStateError (RuntimeError)  not allowed in the gallery's present state
    |   `-- JobLocked                     another job owns this gallery
    `-- EncoderError (RuntimeError)       an encoder failed for good
        |-- EncoderMisconfigured (ValueError)    ... whatever the item: stops the job
        `-- EncoderUnavailable (ConnectionError) ... or for now: may be tried again
"""

from __future__ import annotations

__all__ = [
    "ArtifactError",
    "BenchIncomplete",
    "CrossfadeError",
    "DataFileError",
    "EncoderError",
    "EncoderMisconfigured",
    "EncoderUnavailable",
    "GalleryStateError",
    "InvalidInput",
    "JobLocked",
    "MissingExtra",
    "MissingPackage",
    "OutputError",
    "SpaceMismatch",
    "StoreError",
    "StoreUnavailable",
]


class CrossfadeError(Exception):
    """Base of all errors raised on purpose by this package."""


class InvalidInput(CrossfadeError, ValueError):
    """Vectors, ids, labels or arguments that can't be used as they are."""


class SpaceMismatch(InvalidInput):
    """Vectors of two different embedding spaces would have met."""


class DataFileError(CrossfadeError, ValueError):
    """An embeddings or relevance file that can't be read."""


class ArtifactError(CrossfadeError, ValueError):
    """An upgrade folder that is truncated, edited, or of an unknown version."""


class OutputError(CrossfadeError, OSError):
    """A result could not be written; nothing half-written is left behind."""


class MissingExtra(CrossfadeError, ImportError):
    """An optional dependency is absent.

    Args:
        purpose: what needs it, e.g. ``"fitting"``.
        extra: the name of the extra that brings it, e.g. ``"fit"``.
    """

    def __init__(self, purpose: str, extra: str) -> None:
        super().__init__(f'{purpose} needs an optional package: pip install "crossfade[{extra}]"')
        self.purpose, self.extra = purpose, extra

    def __reduce__(self) -> tuple[type[MissingExtra], tuple[str, str]]:
        return type(self), (self.purpose, self.extra)


class MissingPackage(CrossfadeError, ImportError):
    """A package that brings data or models and that no extra brings; names the line to install."""


class BenchIncomplete(CrossfadeError, RuntimeError):
    """Some runs of a benchmark failed; the results of all others are kept."""


class StoreError(CrossfadeError, RuntimeError):
    """A vector store refused an operation for good."""


class StoreUnavailable(StoreError, ConnectionError):
    """A vector store can't be reached for now; the operation may be tried again."""


class GalleryStateError(CrossfadeError, RuntimeError):
    """The operation is not allowed in the gallery's present state."""


class JobLocked(GalleryStateError):
    """Another backfill job owns this gallery."""


class EncoderError(CrossfadeError, RuntimeError):
    """An encoder failed for good on the items it was given."""


class EncoderMisconfigured(EncoderError, ValueError):
    """An encoder or item source that can't work as it is set up; no item is to blame."""


class EncoderUnavailable(EncoderError, ConnectionError):
    """An encoder can't be reached for now; the batch may be tried again.

    Args:
        retry_after_seconds: how long the other side asked to be left alone, if it did.
    """

    def __init__(self, message: str, *, retry_after_seconds: float | None = None) -> None:
        super().__init__(message)
        self.retry_after_seconds = retry_after_seconds


def require_instance(value: object, kind: type, name: str, how: str) -> None:
    """Refuse what is of another type before it fails somewhere inside, as a path would.

    Args:
        how: how to make what is wanted.

    Raises:
        InvalidInput: it is of another type.
    """
    if not isinstance(value, kind):
        got, wanted = type(value).__name__, kind.__name__
        raise InvalidInput(f"{name} is of type {got}, wanted {wanted}: {how}")
