"""The same message through protobuf in several languages (SER-08)."""

from ampy_conformance.roundtrip.corpus import Specimen, specimens
from ampy_conformance.roundtrip.judge import Cell, judge
from ampy_conformance.roundtrip.programs import LANGUAGES, Executable, NotThere, Program, program

__all__ = [
    "LANGUAGES",
    "Cell",
    "Executable",
    "NotThere",
    "Program",
    "Specimen",
    "judge",
    "program",
    "specimens",
]
