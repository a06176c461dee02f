"""What all tests share."""

from hypothesis import settings

# A busy machine must not fail a law: no test is timed.
settings.register_profile("untimed", deadline=None)
settings.load_profile("untimed")
