"""How much of a gallery was fitted on, as far as it can be known."""

from __future__ import annotations

from dataclasses import replace

import numpy as np

from crossfade import Pairs, fit
from crossfade.evaluation.overlap import count_fitted, count_shared
from crossfade.testing import make_world

WORLD = make_world(items=300, queries=80).gallery
PAIRS = WORLD.subset(range(200))
GALLERY = WORLD.subset(range(150, 300))


def test_items_of_one_id_and_one_vector_are_shared() -> None:
    assert count_shared(PAIRS, GALLERY) == 50
    rounded = replace(GALLERY, old=GALLERY.old.astype(np.float16))
    assert count_shared(PAIRS, rounded) == 50, "another export of the same"


def test_ids_that_are_row_numbers_say_nothing() -> None:
    numbered = replace(GALLERY, ids=np.arange(len(GALLERY)))
    assert count_shared(PAIRS, numbered) == 0
    assert count_shared(PAIRS, replace(GALLERY, ids=GALLERY.ids.astype(np.str_))) == 0


def test_another_width_is_for_others_to_refuse() -> None:
    other = Pairs.of(GALLERY.ids, GALLERY.new, GALLERY.new)
    assert other.source.dim != PAIRS.source.dim
    assert count_shared(PAIRS, other) == 0


def test_an_upgrade_knows_it_by_its_pairs_or_its_marks_or_not_at_all() -> None:
    again, plain, unmapped = (
        fit(PAIRS.without_labels(), method)
        for method in ("refitted_ridge", "forward_ridge", "rank_merge")
    )
    seen = count_fitted(again, GALLERY)
    assert seen is not None and 50 <= seen <= 53, "in few dimensions some items are near others"
    assert count_fitted(plain, GALLERY) is None
    assert count_fitted(plain, GALLERY, PAIRS) == count_fitted(again, GALLERY, PAIRS) == 50
    assert count_fitted(unmapped, GALLERY, PAIRS) == 0
