"""Starting servers from a thread that lives as long as they shall.

The parent-death signal that ends a server with us is tied to the *thread* that starts it.
"""

from __future__ import annotations

import threading
from concurrent.futures import ThreadPoolExecutor
from typing import TYPE_CHECKING, Any

from ampy_conformance import _process

if TYPE_CHECKING:
    import subprocess
    from collections.abc import Sequence

_STARTER = ThreadPoolExecutor(1, thread_name_prefix="broker-starter")


def start_long_lived(command: Sequence[str], **options: Any) -> subprocess.Popen[bytes]:
    """Start a server that is killed with this process, whichever thread asks for it."""
    if threading.current_thread() is threading.main_thread():
        return _process.spawn(command, **options)
    return _STARTER.submit(_process.spawn, command, **options).result()
