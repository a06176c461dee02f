"""The images that ship with the demo."""

from importlib.resources import files

import numpy as np
import pytest

from crossfade.demo.images import CLASS_NAMES, load_images
from crossfade.demo.plan import DemoPlan
from crossfade.errors import InvalidInput


def test_the_default_plan_is_carried_out_with_all_classes_everywhere() -> None:
    plan = DemoPlan()
    images = load_images(plan)
    wanted = (plan.training_images, plan.gallery_images, plan.query_images)
    parts = (images.training, images.gallery, images.queries)
    assert tuple(map(len, parts)) == wanted
    for part in parts:
        assert set(part.labels.tolist()) == set(range(len(CLASS_NAMES)))
        assert part.images.shape == (len(part), 28, 28)
        assert part.images.dtype == np.uint8


def test_no_query_is_in_the_gallery_or_was_trained_on() -> None:
    images = load_images(DemoPlan())
    pixels = [
        {image.tobytes() for image in part.images}
        for part in (images.queries, images.gallery, images.training)
    ]
    assert not pixels[0] & pixels[1]
    assert not pixels[0] & pixels[2]


def test_ids_are_unique_over_all_parts() -> None:
    images = load_images(DemoPlan())
    ids = np.concatenate([images.training.ids, images.gallery.ids, images.queries.ids])
    assert len(np.unique(ids)) == len(ids)


def test_a_plan_for_more_images_than_there_are_is_refused() -> None:
    with pytest.raises(InvalidInput, match="ships 10000"):
        load_images(DemoPlan(training_images=10_001))
    with pytest.raises(InvalidInput, match="ships 3400"):
        load_images(DemoPlan(gallery_images=3_001))


def test_the_licence_lies_beside_the_images() -> None:
    text = files("crossfade.demo").joinpath("data", "fashion.LICENSE").read_text()
    assert "MIT" in text
    assert "Zalando" in text
