"""Encoders: new models, by spec."""

from crossfade.embeddings.encoders.base import ContentEncoder, Takes
from crossfade.embeddings.encoders.load import ENCODERS, load_encoder

__all__ = ["ENCODERS", "ContentEncoder", "Takes", "load_encoder"]
