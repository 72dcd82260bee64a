"""Everything that happens in a case, as one ordered stream of events."""

from ampy_conformance.history.events import Event, Recorder

__all__ = ["Event", "Recorder"]
