"""For authors of drivers in Python: subclass `Driver`, write the calls into your binding.

This is the judged side: nothing of the suite is imported here.
"""

from ampy_conformance.kit.base import Driver, Refused
from ampy_conformance.kit.load import Loads, Receiver
from ampy_conformance.kit.serve import serve
from ampy_conformance.protocol import from_base64, to_base64

__all__ = ["Driver", "Loads", "Receiver", "Refused", "from_base64", "serve", "to_base64"]
