"""What a method is measured on: pairs to fit, a gallery, queries, and what is relevant."""

from __future__ import annotations

import hashlib
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import NamedTuple

import numpy as np

from crossfade.embeddings import IgnoredItems, Pairs, Qrels, QueryLog
from crossfade.errors import DataFileError

__all__ = ["FILES", "LOGS", "DataSet", "Identity"]


class LogKind(NamedTuple):
    """What a method may learn from beside pairs.

    Attributes:
        file: in a folder. what: in words.
    """

    file: str
    what: str


LOGS: Mapping[str, LogKind] = {
    "queries": LogKind("log.npz", "a log of queries"),
    "stand-ins": LogKind("stand_ins.npz", "texts in place of queries"),
}
"""By the suffix of the name of methods that learn from it."""
FILES: Mapping[str, str] = {
    "fit.npz": "fitted on: ids (n,), old (n, d_old), new (n, d_new), labels (n,) if any",
    "gallery.npz": "searched: the same arrays",
    "queries.npz": "optional: the same arrays; without it the gallery's items ask",
    "qrels.txt": "optional: lines 'query_id 0 gallery_id relevance'; without it labels tell",
    "ignored.txt": "optional: lines 'query_id gallery_id', items that no ranking counts",
    LOGS["queries"].file: "optional: other queries, new (m, d_new), old (m, d_old) if any, no ids",
    LOGS["stand-ins"].file: "optional: the same of texts in their place; see stand_in_queries",
}
"""What a folder of a user's own holds."""
_FORMS = ("{}.npz", "{}.parquet", "{}")


@dataclass(frozen=True)
class Identity:
    """Which data a run was of.

    Attributes:
        data_sha256: of everything that was fitted on and measured with: another for each seed that
            draws its own.
        source_sha256: of what all seeds draw from, where a suite's name does not say it; see
            :attr:`DataSet.source`. log_sha256: then of the log too that was learned from, if any.
    """

    data_sha256: str
    source_sha256: str | None = None
    log_sha256: str | None = None


@dataclass(frozen=True, eq=False)
class DataSet:
    """One draw of a suite's data, or a user's own.

    Attributes:
        fit: what a method may learn from. gallery: what is searched.
        queries: None where the gallery's items are the queries, each leaving itself out.
        qrels: what is relevant; None where items of the query's label are.
        ignored: items that some queries leave out of their ranking.
        logs: for methods that learn from one, by their suffix (:data:`LOGS`): other queries, none
            of which asks for an item of the gallery, and texts in their place.
        source: says what all seeds draw from, the same for each, if the suite's name does not: a
            user's own data may be other data tomorrow. Not the log, which not all runs use.
    """

    fit: Pairs
    gallery: Pairs
    queries: Pairs | None = None
    qrels: Qrels | None = None
    ignored: IgnoredItems | None = None
    logs: Mapping[str, QueryLog] = field(default_factory=dict)
    source: str | None = None

    @classmethod
    def load(cls, folder: Path) -> DataSet:
        """Read ``fit`` and ``gallery``, and if they are there ``queries``, ``qrels.txt``,
        ``ignored.txt``, and the files of :data:`LOGS` (:class:`QueryLog`). Pairs are ``.npz``,
        ``.parquet``, or a folder of ``.npy`` files.

        Raises:
            DataFileError: a file that is missing or can't be read.
            InvalidInput: what it holds is not valid.
        """
        fit, gallery = cls.check(folder)
        queries = _find(folder, "queries")
        qrels, ignored = (folder / name for name in ("qrels.txt", "ignored.txt"))
        logs = {suffix: folder / kind.file for suffix, kind in LOGS.items()}
        pairs = Pairs.load(fit)
        return cls(
            fit=pairs,
            gallery=Pairs.load(gallery),
            queries=None if queries is None else Pairs.load(queries),
            qrels=Qrels.load(qrels) if qrels.exists() else None,
            ignored=IgnoredItems.load(ignored) if ignored.exists() else None,
            logs={
                suffix: QueryLog.load(path).checked(pairs.source.dim, pairs.target.dim)
                for suffix, path in logs.items()
                if path.exists()
            },
        )

    @staticmethod
    def check(folder: Path) -> tuple[Path, Path]:
        """The paths of ``fit`` and ``gallery``, if both are there.

        Raises:
            DataFileError: one is missing.
        """
        fit, gallery = _find(folder, "fit"), _find(folder, "gallery")
        if fit is None or gallery is None:
            name = "fit" if fit is None else "gallery"
            raise DataFileError(
                f"{folder} holds no {name}.npz; wanted {' and '.join([*FILES][:2])} (arrays ids, "
                f"old, new, labels?), and optionally {', '.join([*FILES][2:])}; `crossfade bench "
                "--help` says what is in them"
            )
        return fit, gallery

    def save(self, folder: Path) -> None:
        """Write the files that :meth:`load` reads, the gallery last: without it, it was cut off.

        Raises:
            OutputError: the folder can't be written.
        """
        folder.mkdir(parents=True, exist_ok=True)
        self.fit.save(folder / "fit.npz")
        if self.queries is not None:
            self.queries.save(folder / "queries.npz")
        if self.qrels is not None:
            _write_lines(folder / "qrels.txt", _qrels_lines(self.qrels))
        if self.ignored is not None:
            _write_lines(folder / "ignored.txt", self.ignored.lines())
        for suffix, log in self.logs.items():
            log.save(folder / LOGS[suffix].file)
        self.gallery.save(folder / "gallery.npz")

    @property
    def has_labels(self) -> bool:
        """Whether methods that learn from labels can be fitted."""
        return self.fit.labels is not None

    def identity(self, log: QueryLog | None = None) -> Identity:
        """What tells a run of this data from one of other data.

        Args:
            log: what the run learns from, if it does.
        """
        own_log = None if self.source is None else log
        return Identity(
            data_sha256=self.fingerprint(log),
            source_sha256=self.source,
            log_sha256=None if own_log is None else own_log.fingerprint(),
        )

    def fingerprint(self, log: QueryLog | None = None) -> str:
        """SHA-256 over everything; the same data gives the same text.

        Args:
            log: over this too, for what was learned from it.
        """
        digest = hashlib.sha256()
        for pairs in (self.fit, self.gallery, self.queries):
            digest.update(b"none" if pairs is None else pairs.fingerprint().encode())
        for lines in (
            [] if self.qrels is None else _qrels_lines(self.qrels),
            [] if self.ignored is None else self.ignored.lines(),
        ):
            digest.update(("\n".join(lines) + "\0").encode())
        if log is not None:
            for rows in log.arrays().values():
                digest.update(np.ascontiguousarray(rows).tobytes())
        return digest.hexdigest()


def _find(folder: Path, name: str) -> Path | None:
    paths = [folder / form.format(name) for form in _FORMS]
    return next((path for path in paths if path.exists()), None)


def _qrels_lines(qrels: Qrels) -> list[str]:
    return sorted(
        f"{query} 0 {item} {grade}"
        for query, judged in qrels.relevance.items()
        for item, grade in judged.items()
    )


def _write_lines(path: Path, lines: list[str]) -> None:
    path.write_text("".join(f"{line}\n" for line in lines), encoding="utf-8")
