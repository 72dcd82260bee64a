"""Follow a report while it is being written."""

from __future__ import annotations

import json
import time
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    import subprocess
    from collections.abc import Iterator
    from pathlib import Path

POLL_SECONDS = 0.05


def lines(path: Path, process: subprocess.Popen[bytes]) -> Iterator[dict[str, Any] | None]:
    """Yield each line of the report as it appears, and None while there is nothing new.

    Ends when the writing process has ended and everything was read.
    """
    rest = b""
    position = 0
    while True:
        ended = process.poll() is not None
        chunk = b""
        if path.exists():
            with path.open("rb") as stream:
                stream.seek(position)
                chunk = stream.read()
        position += len(chunk)
        *whole, rest = (rest + chunk).split(b"\n")
        for line in whole:
            yield json.loads(line)
        if ended and not chunk:
            return
        if not chunk:
            yield None
            time.sleep(POLL_SECONDS)
