"""For authors of drivers in Python: subclass `Driver`, write the calls into your binding.

This is the judged side: nothing of the suite is imported here.
"""

from ampy_conformance.kit.base import Driver, Refused
from ampy_conformance.kit.serve import serve

__all__ = ["Driver", "Refused", "serve"]
