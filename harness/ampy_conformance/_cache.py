"""Things that are built once for all runs: programs, environments, downloads."""

from __future__ import annotations

import contextlib
import hashlib
import os
import shutil
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable
    from pathlib import Path


def fingerprint(sources: Iterable[Path], *also: str) -> str:
    """Return 12 hex digits that change with any file in these folders or files, or with `also`."""
    digest = hashlib.sha256("\n".join(also).encode())
    for source in sources:
        found = [source] if source.is_file() else sorted(source.rglob("*"))
        for path in (each for each in found if each.is_file()):
            if "__pycache__" not in path.parts:
                name = path.relative_to(source).as_posix()
                digest.update(f"\n{name} {path.stat().st_size}\n".encode() + path.read_bytes())
    return digest.hexdigest()[:12]


def once(target: Path, make: Callable[[Path], None]) -> Path:
    """Return the folder `target`, made by `make` where it does not exist yet.

    It is made beside its place and moved there when it is whole, so that two runs at once
    never see half of it; what `make` raises goes through, and leaves nothing behind.
    """
    if target.is_dir():
        return target
    beside = target.with_name(f"{target.name}.{os.getpid()}")
    try:
        beside.mkdir(parents=True)
        make(beside)
        with contextlib.suppress(OSError):  # another run was first
            beside.rename(target)
    finally:
        shutil.rmtree(beside, ignore_errors=True)
    if not target.is_dir():
        raise NotADirectoryError(f"{target} could not be put into place")
    return target
