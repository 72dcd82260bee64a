"""`python -m ampy_conformance.kit py:package.module:Class [--listen PORT]` hosts one driver."""

from __future__ import annotations

import argparse
import importlib
import sys
import traceback
from typing import TYPE_CHECKING, cast

from ampy_conformance.kit.serve import serve
from ampy_conformance.protocol import CANNOT_LOAD

if TYPE_CHECKING:
    from ampy_conformance.kit.serve import Factory


def main() -> int:
    """Load the class that the first argument names and serve it."""
    parser = argparse.ArgumentParser(prog="python -m ampy_conformance.kit")
    parser.add_argument("driver", metavar="py:package.module:Class")
    parser.add_argument(
        "--listen",
        type=int,
        metavar="PORT",
        help="wait on 127.0.0.1:PORT for tcp: instead of using standard input and output",
    )
    options = parser.parse_args()
    try:
        factory = _load(options.driver)
    except Exception as error:  # noqa: BLE001 (importing runs anything)
        if not isinstance(error, (ImportError, AttributeError)):
            traceback.print_exc()
        why = " ".join(f"{type(error).__name__}: {error}".split())
        print(f"{why} (is it installed, or on PYTHONPATH?)", file=sys.stderr)
        return CANNOT_LOAD
    serve(factory, port=options.listen)
    return 0


def _load(name: str) -> Factory:
    module, _, attribute = name.removeprefix("py:").partition(":")
    found = getattr(importlib.import_module(module), attribute)
    if not callable(found):
        raise TypeError("it is no class")
    return cast("Factory", found)


if __name__ == "__main__":
    sys.exit(main())
