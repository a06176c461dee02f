"""The journal contract, a topic a module; all in :mod:`crossfade.testing.journal_contract`."""
