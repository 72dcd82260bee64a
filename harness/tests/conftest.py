"""Settings of all tests."""

import sys
from pathlib import Path

from hypothesis import settings

# Tests are imported by path; what they share lies beside them and is imported by name.
sys.path.append(str(Path(__file__).parent))

# Machines are noisy: how long an example takes proves nothing.
settings.register_profile("no deadline", deadline=None)
settings.load_profile("no deadline")
