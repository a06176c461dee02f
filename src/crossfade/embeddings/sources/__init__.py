"""Item sources: what stored items contain, read from where it is kept."""

from crossfade.embeddings.sources.base import Missing, Source
from crossfade.embeddings.sources.load import SOURCES, load_source

__all__ = ["SOURCES", "Missing", "Source", "load_source"]
