"""The ampy-bus contract as data, and the suite that certifies any binding of it.

from ampy_conformance import validate
refused = [each for each in validate(records) if each.verdict == "refused"]
"""

import importlib
from typing import Any

__version__ = "0.1.0"

# Loaded when asked for: the contract and protobuf take their time, and the judged processes
# import this package too, from which they must not get the judge.
_LAZY = {"validate": "ampy_conformance.validation", "load": "ampy_conformance.contract"}


def __getattr__(name: str) -> Any:
    if name in _LAZY:
        return getattr(importlib.import_module(_LAZY[name]), name)
    raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
