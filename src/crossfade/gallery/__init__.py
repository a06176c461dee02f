"""The two galleries as one."""

from crossfade.gallery.gallery import Gallery, Hit
from crossfade.gallery.lifecycle import open_gallery
from crossfade.gallery.merge import HitSide
from crossfade.gallery.state import GalleryState, Phase

__all__ = ["Gallery", "GalleryState", "Hit", "HitSide", "Phase", "open_gallery"]
