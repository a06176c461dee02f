"""The command line: one file for each verb; each parses, calls one function, prints."""

from crossfade.cli.app import main

__all__ = ["main"]
