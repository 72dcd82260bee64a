"""A child that is frozen stands still when that is said."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
from pathlib import Path

import pytest

from ampy_conformance import _process
from ampy_conformance._errors import HarnessError

COUNTS = "import sys, itertools\nfor n in itertools.count():\n    sys.stdout.write('x'); sys.stdout.flush()"


def test_a_frozen_child_does_nothing_more_and_goes_on() -> None:
    with subprocess.Popen([sys.executable, "-c", COUNTS], stdout=subprocess.PIPE) as child:
        assert child.stdout is not None
        assert child.stdout.read(1) == b"x"
        _process.freeze(child.pid)
        stat = Path(f"/proc/{child.pid}/stat").read_text("utf-8")
        assert stat.rpartition(")")[2].split()[0] == "T"
        _process.freeze(child.pid)  # which is nothing new
        child.send_signal(signal.SIGCONT)
        assert child.stdout.read(1 << 17)  # more than the pipe holds: it runs again
        assert child.poll() is None
        child.kill()


def test_a_child_that_does_not_stand_is_trouble_of_ours_and_goes_on(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    with subprocess.Popen([sys.executable, "-c", COUNTS], stdout=subprocess.PIPE) as child:
        assert child.stdout is not None
        assert child.stdout.read(1) == b"x"
        with monkeypatch.context() as patched:
            patched.setattr(os, "waitid", lambda *_: None)  # it never stands
            with pytest.raises(HarnessError, match="did not stand still"):
                _process.freeze(child.pid, patience=0.05)
        assert child.stdout.read(1 << 17)  # more than the pipe holds: it runs again
        child.kill()
