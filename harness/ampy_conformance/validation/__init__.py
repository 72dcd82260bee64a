"""Validate records that exist already: files, streams of JSON Lines, a user's broker."""

from __future__ import annotations

from ampy_conformance.validation.judge import Judged, Summary, judge, validate
from ampy_conformance.validation.sources import Item, files, lines, on_broker

__all__ = ["Item", "Judged", "Summary", "files", "judge", "lines", "on_broker", "validate"]
