"""The audit log: what is recorded, and that no change of it goes unnoticed."""

import json
import socket
from collections.abc import Sequence

import pytest
from hypothesis import given
from hypothesis import strategies as st

from crossfade.gallery.audit import AuditLine, Entry, chain, verify_lines, whoami


def log_of(entries: Sequence[Entry]) -> list[str]:
    lines: list[AuditLine] = []
    for entry in entries:
        lines.append(chain(lines[-1] if lines else None, entry))
    return [line.text for line in lines]


_entries = st.builds(
    Entry,
    move=st.sampled_from(["start", "backfill", "pause"]),
    before=st.sampled_from(["started", "running"]),
    after=st.sampled_from(["started", "running"]),
    actor=st.text(min_size=1, max_size=8),
    details=st.dictionaries(
        st.text(max_size=4), st.none() | st.integers() | st.booleans() | st.text(max_size=6)
    ),
)
_logs = st.lists(_entries, min_size=2, max_size=7).map(log_of)


def head_of(log: Sequence[str]) -> str:
    return str(json.loads(log[-1])["hash"])


@given(_logs)
def test_a_log_as_it_was_written_is_whole(log: list[str]) -> None:
    verdict = verify_lines(log, head_of(log))
    assert verdict.whole
    assert (verdict.lines, verdict.head) == (len(log), head_of(log))


@given(_logs, st.data())
def test_any_edit_of_one_character_is_found_in_its_line(
    log: list[str], data: st.DataObject
) -> None:
    row = data.draw(st.integers(0, len(log) - 1))
    place = data.draw(st.integers(0, len(log[row])))
    kind = data.draw(st.sampled_from(["insert", "delete", "replace"]))
    character = data.draw(st.characters(codec="utf-8"))
    end = place + (kind != "insert")
    edited = log[row][:place] + ("" if kind == "delete" else character) + log[row][end:]
    if edited == log[row]:
        return
    verdict = verify_lines([*log[:row], edited, *log[row + 1 :]])
    assert verdict.bad_line == row + 1


@given(_logs, st.data())
def test_a_forged_value_with_its_own_new_hash_is_found_at_the_next_line(
    log: list[str], data: st.DataObject
) -> None:
    row = data.draw(st.integers(0, len(log) - 1))
    line = AuditLine.parse(log[row])
    previous = AuditLine.parse(log[row - 1]) if row else None
    forged = chain(previous, Entry(line.move, line.before, line.after, line.actor + "x"))
    edited = [*log[:row], forged.text, *log[row + 1 :]]
    last = row == len(log) - 1
    assert verify_lines(edited, head_of(log)).bad_line == row + 2
    assert verify_lines(edited).whole is last, "an edit of the last line needs the head's hash"


@given(_logs, st.data())
def test_a_removed_line_is_found(log: list[str], data: st.DataObject) -> None:
    row = data.draw(st.integers(0, len(log) - 1))
    verdict = verify_lines(log[:row] + log[row + 1 :], head_of(log))
    assert verdict.bad_line == row + 1


@given(_logs, st.integers(1, 6))
def test_lines_removed_at_the_end_are_found_with_the_heads_hash(log: list[str], n: int) -> None:
    left = log[: max(0, len(log) - n)]
    assert verify_lines(left, head_of(log)).bad_line == len(left) + 1


@given(_logs, st.data())
def test_two_lines_swapped_are_found(log: list[str], data: st.DataObject) -> None:
    first = data.draw(st.integers(0, len(log) - 2))
    second = data.draw(st.integers(first + 1, len(log) - 1))
    swapped = list(log)
    swapped[first], swapped[second] = swapped[second], swapped[first]
    assert verify_lines(swapped).bad_line == first + 1


@given(_logs, st.data())
def test_a_line_repeated_or_of_another_log_is_found(log: list[str], data: st.DataObject) -> None:
    row = data.draw(st.integers(0, len(log) - 1))
    assert verify_lines([*log[: row + 1], log[row], *log[row + 1 :]]).bad_line == row + 2
    other = data.draw(_logs)
    mixed = [*log[:1], *other[1:]]
    assert verify_lines(mixed).bad_line == 2


def test_an_empty_log_and_lines_of_something_else_are_bad() -> None:
    assert verify_lines([]).bad_line == 1
    for text in ("", "5", "[]", '{"a": 1}', "[" * 100_000):
        assert verify_lines([text]).bad_line == 1


def test_credentials_are_never_written() -> None:
    details = {
        "url": "postgresql://me:s3cret@db/shop?password=s3cret",
        "nested": [{"error": "could not connect to https://u:s3cret@host/v1, token=s3cret"}],
    }
    text = log_of([Entry("start", "not-started", "preparing", "me", details)])[0]
    assert "s3cret" not in text
    assert "db/shop" in text


def test_the_actor_is_user_and_host_unless_another_is_named(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.delenv("CROSSFADE_ACTOR", raising=False)
    assert whoami().endswith(f"@{socket.gethostname()}")
    monkeypatch.setenv("CROSSFADE_ACTOR", "deploy bot")
    assert whoami() == "deploy bot"
    assert AuditLine.parse(log_of([Entry("a", "b", "c")])[0]).actor == "deploy bot"
    assert AuditLine.parse(log_of([Entry("a", "b", "c", "ann")])[0]).actor == "ann"


def test_the_time_is_utc_to_the_microsecond() -> None:
    line = AuditLine.parse(log_of([Entry("a", "b", "c")])[0])
    assert line.time.endswith("Z") and len(line.time) == len("2026-01-01T00:00:00.000000Z")
