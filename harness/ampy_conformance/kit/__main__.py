"""`python -m ampy_conformance.kit py:package.module:Class [--listen PORT]` hosts one driver.

`FILE.py:Class` names one that is in no package.
"""

from __future__ import annotations

import argparse
import importlib
import importlib.util
import sys
import traceback
from pathlib import Path
from typing import TYPE_CHECKING, cast

from ampy_conformance.kit.serve import serve
from ampy_conformance.protocol import CANNOT_LOAD

if TYPE_CHECKING:
    from types import ModuleType

    from ampy_conformance.kit.serve import Factory


def main() -> int:
    """Load the class that the first argument names and serve it."""
    parser = argparse.ArgumentParser(prog="python -m ampy_conformance.kit")
    parser.add_argument("driver", metavar="py:package.module:Class | FILE.py:Class")
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


def _module(name: str) -> ModuleType:
    return importlib.import_module(name)


def _file(path: Path) -> ModuleType:
    spec = importlib.util.spec_from_file_location(path.stem, path)
    if spec is None or spec.loader is None:
        raise ImportError(f"{path} is no module")
    module = sys.modules[path.stem] = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


def _load(name: str) -> Factory:
    module, _, attribute = name.removeprefix("py:").rpartition(":")
    found = getattr(_file(Path(module)) if module.endswith(".py") else _module(module), attribute)
    if not callable(found):
        raise TypeError("it is no class")
    return cast("Factory", found)


if __name__ == "__main__":
    sys.exit(main())
