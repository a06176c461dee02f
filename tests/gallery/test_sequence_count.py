"""The count by which a search learns that a write has come between."""

import pytest

from crossfade.gallery.sequence_count import SequenceCount


def test_nothing_written_disturbs_nobody() -> None:
    count = SequenceCount()
    assert count.is_undisturbed_since(count.read())


def test_a_write_disturbs_who_read_before_it_or_during_it_not_after() -> None:
    count = SequenceCount()
    before = count.read()
    with count.writing():
        during = count.read()
        assert not count.is_undisturbed_since(during), "the write is not over"
    assert not count.is_undisturbed_since(before)
    assert not count.is_undisturbed_since(during)
    assert count.is_undisturbed_since(count.read())


def test_a_write_that_failed_is_over_too() -> None:
    count = SequenceCount()
    before = count.read()
    with pytest.raises(OSError, match="full"), count.writing():
        raise OSError("full")
    assert not count.is_undisturbed_since(before)
    assert count.is_undisturbed_since(count.read())
