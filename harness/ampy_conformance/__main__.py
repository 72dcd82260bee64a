"""`python -m ampy_conformance` is `ampy-conform`."""

from ampy_conformance.cli import main

main()
