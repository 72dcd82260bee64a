"""Everything that happens in a case, as one ordered stream of events, in memory and on disk."""

from ampy_conformance.history.events import Event, Recorder
from ampy_conformance.history.file import (
    CorruptHistory,
    History,
    Saved,
    Writer,
    beside,
    convert,
    fingerprint,
    verify,
)

__all__ = [
    "CorruptHistory",
    "Event",
    "History",
    "Recorder",
    "Saved",
    "Writer",
    "beside",
    "convert",
    "fingerprint",
    "verify",
]
