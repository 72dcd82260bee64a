"""Where the data rooms are, in a checkout and in an installed wheel alike."""

from __future__ import annotations

import os
from pathlib import Path

PACKAGE = Path(__file__).resolve().parent


def room(name: str) -> Path:
    """Return the folder `name` (spec, schemas, golden, conformance, drivers, kits, ...).

    A wheel carries the rooms under `_data`; a checkout has them two levels above the
    package. They are found from this file and never through `sys.path`, so that a folder
    of the same name in a user's working directory cannot take their place.
    """
    for root in (PACKAGE / "_data", PACKAGE.parents[1]):
        if (root / name).is_dir():
            return root / name
    message = f"the installation is incomplete: no folder {name!r} beside the package; reinstall it"
    raise FileNotFoundError(message)


def cache(name: str) -> Path:
    """Return the user's folder for what was fetched or built once; it need not exist."""
    root = os.environ.get("XDG_CACHE_HOME") or str(Path.home() / ".cache")
    return Path(root) / "ampy-conform" / name
