"""Child processes are started from one thread that lives as long as we do.

The kernel's parent-death signal is tied to the thread that forks: a driver started from a
test's worker thread would be killed when that thread ends.
"""

from __future__ import annotations

import os
import subprocess
import threading
from concurrent.futures import ThreadPoolExecutor
from typing import TYPE_CHECKING

from ampy_conformance import _process

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

_lock = threading.Lock()
_threads: dict[int, ThreadPoolExecutor] = {}  # by process id: a fork does not inherit threads


def spawn(command: Sequence[str], env: Mapping[str, str]) -> subprocess.Popen[bytes]:
    """Start `command` with pipes on all three streams; raises OSError when it cannot."""
    with _lock:
        pool = _threads.get(os.getpid())
        if pool is None:
            pool = _threads[os.getpid()] = ThreadPoolExecutor(1, thread_name_prefix="spawner")
    return pool.submit(
        _process.spawn,
        command,
        env=env,
        bufsize=0,
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
    ).result()
