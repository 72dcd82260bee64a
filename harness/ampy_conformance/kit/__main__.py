"""`python -m ampy_conformance.kit py:package.module:Class` hosts one driver."""

from __future__ import annotations

import importlib
import sys

from ampy_conformance.kit.serve import serve


def main() -> int:
    """Load the class that the first argument names and serve it."""
    name = sys.argv[1].removeprefix("py:") if len(sys.argv) == 2 else ""  # noqa: PLR2004
    module, colon, attribute = name.partition(":")
    if not colon:
        print("usage: python -m ampy_conformance.kit py:package.module:Class", file=sys.stderr)
        return 2
    try:
        driver = getattr(importlib.import_module(module), attribute)
    except (ImportError, AttributeError) as error:
        print(f"cannot load {name}: {error}", file=sys.stderr)
        return 2
    serve(driver)
    return 0


sys.exit(main())
