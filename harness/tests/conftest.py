"""Settings of all tests."""

from hypothesis import settings

# Machines are noisy: how long an example takes proves nothing.
settings.register_profile("no deadline", deadline=None)
settings.load_profile("no deadline")
