"""The two galleries as one."""

from crossfade.gallery.encoding import Encoder
from crossfade.gallery.gallery import Gallery
from crossfade.gallery.merge import HitSide
from crossfade.gallery.moves import State
from crossfade.gallery.opening import open_gallery, start_gallery
from crossfade.gallery.search import Hit
from crossfade.gallery.state import GalleryState, JobSettings, Phase

__all__ = [
    "Encoder",
    "Gallery",
    "GalleryState",
    "Hit",
    "HitSide",
    "JobSettings",
    "Phase",
    "State",
    "open_gallery",
    "start_gallery",
]
