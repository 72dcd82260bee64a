"""`python -m ampy_conformance.protocol` prints the documentation of the protocol."""

from __future__ import annotations

import sys

from ampy_conformance.protocol.document import document

sys.stdout.write(document())
