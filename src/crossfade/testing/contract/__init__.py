"""The store contract, a topic a module; :mod:`crossfade.testing.store_contract` has the whole."""
