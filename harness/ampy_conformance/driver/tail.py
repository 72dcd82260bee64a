"""The last lines of a driver's standard error, in bounded memory."""

from __future__ import annotations

import collections
import threading

LINES = 32
WIDTH = 500


class Tail:
    """Keeps the last lines, each cut off; safe to read from any thread."""

    def __init__(self, lines: int = LINES) -> None:
        self._lock = threading.Lock()
        self._lines: collections.deque[str] = collections.deque(maxlen=lines)
        self._open = b""  # the beginning of the line that has not ended yet

    def feed(self, data: bytes) -> None:
        """Take the next bytes."""
        first, *rest = data.split(b"\n")
        with self._lock:
            self._open = (self._open + first)[:WIDTH]
            for each in rest:
                self._lines.append(_shown(self._open))
                self._open = each[:WIDTH]

    def text(self) -> str:
        """Return the lines, the unfinished last one included."""
        with self._lock:
            lines = [*self._lines, _shown(self._open)] if self._open else list(self._lines)
        return "\n".join(lines[-(self._lines.maxlen or 0) :])


def _shown(line: bytes) -> str:
    text = line.decode("utf-8", "backslashreplace").rstrip()
    return "".join(
        each if each.isprintable() or each == "\t" else each.encode("unicode_escape").decode()
        for each in text
    )
