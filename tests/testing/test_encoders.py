"""The fake encoder's dials."""

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
