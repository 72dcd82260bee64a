"""`PYTHON .../kit/alone.py DRIVER.py:Class`: host a driver in an interpreter that is not ours.

A binding with dependencies of its own runs in an environment of its own, so that neither gets the
other's packages. This file makes the kit importable there, from where it lies and nothing beside it;
of other packages the kit needs jsonschema-rs alone.
"""

from __future__ import annotations

import importlib
import importlib.util
import sys
from pathlib import Path


def main() -> int:
    """Load our package by its place, then be `python -m ampy_conformance.kit`."""
    here = Path(__file__).resolve()
    sys.path[:] = [each for each in sys.path if Path(each or ".").resolve() != here.parent]
    package = here.parents[1]
    spec = importlib.util.spec_from_file_location(
        package.name, package / "__init__.py", submodule_search_locations=[str(package)]
    )
    assert spec is not None
    assert spec.loader is not None
    module = sys.modules[package.name] = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    code: int = importlib.import_module(f"{package.name}.kit.__main__").main()
    return code


if __name__ == "__main__":
    sys.exit(main())
