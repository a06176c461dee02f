"""Embedding models that benchmark suites use: made by hand, trained here, or out of packages."""
