"""Child processes that cannot outlive us."""

from __future__ import annotations

import contextlib
import ctypes
import os
import signal
import subprocess
import sys
import time
from typing import TYPE_CHECKING, Any

from ampy_conformance._errors import HarnessError

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

PR_SET_PDEATHSIG = 1

# Loaded before any fork: between fork and exec nothing may be imported.
_LIBC = ctypes.CDLL(None, use_errno=True) if sys.platform == "linux" else None


def _tie_to(parent: int) -> None:
    """Ask the kernel to kill this child when the thread that started it is gone."""
    if _LIBC is not None:
        _LIBC.prctl(PR_SET_PDEATHSIG, signal.SIGKILL)
        if os.getppid() != parent:  # the parent died between fork and prctl
            os._exit(1)


def spawn(
    command: Sequence[str], *, env: Mapping[str, str] | None = None, **options: Any
) -> subprocess.Popen[bytes]:
    """Start `command` in a process group of its own, killed with us on Linux.

    The parent-death signal belongs to the *thread* that forks: call this from a thread
    that lives as long as the child shall (the main thread, as a rule).
    """
    parent = os.getpid()
    return subprocess.Popen(
        list(command),
        env=None if env is None else dict(env),
        start_new_session=True,
        preexec_fn=lambda: _tie_to(parent),  # noqa: PLW1509 (prctl is safe between fork and exec)
        **options,
    )


def kill_group(process: subprocess.Popen[bytes], sign: signal.Signals = signal.SIGKILL) -> None:
    """Send `sign` to the child's whole process group; a child that is gone is no error."""
    with contextlib.suppress(ProcessLookupError, PermissionError):
        os.killpg(process.pid, sign)


def freeze(pid: int, patience: float = 10.0) -> None:
    """Stop a child (SIGSTOP), and return when it stands still.

    The signal is only sent by then: on a busy machine threads of the child may still answer.
    Raises `HarnessError` where it does not stand within `patience` seconds, and lets it go on:
    whatever was to be seen of a child at rest would be seen of one that runs.
    """
    os.kill(pid, signal.SIGSTOP)
    if not hasattr(os, "waitid"):
        return
    deadline = time.monotonic() + patience
    with contextlib.suppress(ChildProcessError):
        while os.waitid(os.P_PID, pid, os.WSTOPPED | os.WNOWAIT | os.WNOHANG) is None:
            if time.monotonic() > deadline:
                os.kill(pid, signal.SIGCONT)
                raise HarnessError(
                    f"process {pid} did not stand still within {patience:g} s of SIGSTOP; "
                    "try again on a less busy machine"
                )
            time.sleep(0.001)


def end(process: subprocess.Popen[bytes], patience: float = 3.0) -> int:
    """End the child and whatever it started: politely first, then for certain.

    Returns the exit code of the child.
    """
    if process.poll() is None:
        kill_group(process, signal.SIGTERM)
        try:
            process.wait(patience)
        except subprocess.TimeoutExpired:
            kill_group(process)
    kill_group(process)
    code = process.wait()
    for pipe in (process.stdin, process.stdout, process.stderr):
        if pipe is not None:
            with contextlib.suppress(OSError):
                pipe.close()
    return code
