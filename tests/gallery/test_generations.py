"""Generations of a map: how they are kept, and what of a gallery the one in use repeats."""

import base64
import hashlib

import numpy as np
import pytest
from safetensors.numpy import save as save_tensors

from crossfade.fit.api import fit
from crossfade.gallery import start_gallery
from crossfade.gallery.generations import keep_map, read_map
from crossfade.gallery.state import GalleryState, MapGeneration
from crossfade.stores import Draft, open_store
from crossfade.testing import World, make_upgrade
from crossfade.upgrade import Affine, Side, Transform

N = 200


def test_a_map_that_was_kept_when_all_were_affine_is_read() -> None:
    rng = np.random.default_rng(0)
    weight, bias = (rng.normal(size=shape).astype(np.float32) for shape in ((3, 4), (4,)))
    content = save_tensors({"weight": weight, "bias": bias})
    sha256 = hashlib.sha256(content).hexdigest()
    with open_store("memory://") as store:
        text = base64.b64encode(content).decode()
        assert store.swap_pointer(f"crossfade.map.{sha256}.0", None, text)
        read, offset = read_map(store, MapGeneration(1, 5, sha256, 1))
    assert read.fingerprint == Transform(Affine(weight, bias)).fingerprint and offset is None


def test_a_map_is_read_as_it_was_kept_with_its_offsets_or_without() -> None:
    upgrade = make_upgrade(Side.ITEMS, rho=False, offset=True)
    assert upgrade.forward is not None and upgrade.offset is not None
    with open_store("memory://") as store:
        for offset, queries in ((None, 0), (upgrade.offset, 250)):
            kept = keep_map(store, upgrade.forward, 3, 40, offset, queries)
            assert (kept.number, kept.pairs, kept.queries) == (3, 40, queries)
            forward, read = read_map(store, kept)
            assert forward.fingerprint == upgrade.forward.fingerprint
            assert (read and read.fingerprint) == (offset and offset.fingerprint)


@pytest.mark.parametrize("mode", ["one-encoder", "two-encoder"])
def test_a_gallery_counts_what_the_map_repeats_once_it_has_mapped_all(
    world: World, mode: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    pairs = world.gallery.subset(range(N)).without_labels()
    upgrade = fit(pairs, "refitted_kernel")
    assert upgrade.offset is not None and upgrade.mapped is not None
    store = open_store("memory://")
    store.ensure_space(upgrade.source)
    store.put(
        [Draft(int(i), {upgrade.source.name: v}) for i, v in zip(pairs.ids, pairs.old, strict=True)]
    )
    with start_gallery(store, upgrade) as gallery:
        assert gallery.state.known == len(pairs), "before anything is mapped: a kill loses nothing"
        gallery.prepare()
        assert gallery.state.known == len(pairs) and gallery.applied().known == 1.0
        assert GalleryState.from_fields(gallery.state.to_fields()) == gallery.state
        asked = {"query_old": world.queries.old, "mode": mode}
        found = gallery.search(world.queries.new, 5, **asked)
        new = world.queries.new @ pairs.new.T
        for row, hits in enumerate(found):
            scores = [new[row, pairs.ids.tolist().index(hit.id)] for hit in hits]
            wanted = np.sort(new[row])[::-1][:5]
            np.testing.assert_allclose(scores, wanted, atol=5e-3)
            np.testing.assert_allclose([hit.score for hit in hits], wanted, atol=5e-3)
        fields = gallery.state.to_fields()
        del fields["known"]  # as releases wrote it that counted nothing
        assert GalleryState.from_fields(fields).known == 0
        # The same items are a smaller share of a gallery that grows.
        more = world.gallery.subset(range(N, 240))
        gallery.upsert(more.ids, old=more.old)
        monkeypatch.setattr(gallery._generations, "_counted_until", 0.0)
        assert gallery.applied().known == pytest.approx(N / 240, abs=0.01)
