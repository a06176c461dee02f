"""The fake encoder's dials."""

import time
from pathlib import Path

import numpy as np
import pytest

from crossfade.errors import EncoderUnavailable
from crossfade.stores import Id, Item
from crossfade.testing import FakeEncoder, encoded_ids


def items(*ids: Id) -> list[Item]:
    return [Item(id, 1, {}, {}) for id in ids]


def row(item: Item) -> np.ndarray:  # type: ignore[type-arg]
    return np.ones(3, np.float32)


def test_it_records_what_it_encoded_also_across_lives(tmp_path: Path) -> None:
    log = tmp_path / "log"
    assert encoded_ids(log) == []
    first = FakeEncoder(row, log=log)
    assert first(items(3, "3")).shape == (2, 3)
    FakeEncoder(row, log=log)(items(-1, "ü"))
    assert first.encoded == [3, "3"]
    assert encoded_ids(log) == [3, "3", -1, "ü"]


def test_an_entry_cut_off_by_a_kill_is_left_out(tmp_path: Path) -> None:
    (tmp_path / "log").write_text("1\n2\n34")
    assert encoded_ids(tmp_path / "log") == [1, 2]


def test_a_poisoned_item_spoils_its_call_and_nothing_is_recorded(tmp_path: Path) -> None:
    encoder = FakeEncoder(row, poison=[2], log=tmp_path / "log")
    with pytest.raises(ValueError, match="item 2 is poisoned"):
        encoder(items(1, 2))
    assert encoder.encoded == encoded_ids(tmp_path / "log") == []


def test_it_fails_as_often_as_told_and_the_same_way_for_a_seed() -> None:
    def failures(seed: int) -> list[bool]:
        encoder = FakeEncoder(row, fail_rate=0.5, seed=seed)
        failed = []
        for _ in range(200):
            try:
                encoder(items(1))
                failed.append(False)
            except EncoderUnavailable:
                failed.append(True)
        return failed

    assert failures(1) == failures(1) != failures(2)
    assert 60 < sum(failures(1)) < 140


def test_it_keeps_to_a_rate_and_says_when_to_come_back() -> None:
    encoder = FakeEncoder(row, items_a_second=50)
    encoder(items(1, 2, 3, 4, 5))
    with pytest.raises(EncoderUnavailable, match="rate limit") as caught:
        encoder(items(6))
    wait = caught.value.retry_after_seconds
    assert wait is not None and 0 < wait <= 0.1
    time.sleep(wait)
    encoder(items(6))
    assert encoder.refused == 1 and encoder.encoded == [1, 2, 3, 4, 5, 6]


def test_it_answers_in_the_width_it_is_told_and_states_it() -> None:
    assert FakeEncoder(row, dim=2)(items(1)).tolist() == [[1, 1]]
    assert FakeEncoder(row, dim=5)(items(1)).tolist() == [[1, 1, 1, 0, 0]]
    encoder = FakeEncoder(row, dim=5, name="fake@2")
    assert (encoder.dim, encoder.name) == (5, "fake@2")
    assert (FakeEncoder(row).dim, FakeEncoder(row).name) == (None, None)
