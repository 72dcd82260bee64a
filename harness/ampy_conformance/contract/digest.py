"""One digest for a folder of data."""

from __future__ import annotations

import hashlib
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from pathlib import Path


def tree_digest(folder: Path) -> str:
    """Return `sha256:<hex>` over names and contents of all files below `folder`, sorted."""
    whole = hashlib.sha256()
    for path in sorted(folder.rglob("*")):
        if path.is_file() and "__pycache__" not in path.parts:
            name = path.relative_to(folder).as_posix().encode()
            whole.update(b"%d:%s" % (len(name), name))
            whole.update(hashlib.sha256(path.read_bytes()).digest())
    return f"sha256:{whole.hexdigest()}"
