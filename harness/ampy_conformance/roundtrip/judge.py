"""Judge the round trips: the message decides, the bytes are reported."""

from __future__ import annotations

import os
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from typing import TYPE_CHECKING

from ampy_conformance.contract import payloads
from ampy_conformance.roundtrip.difference import difference

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

    from ampy_conformance.contract.model import Contract
    from ampy_conformance.roundtrip.corpus import Specimen
    from ampy_conformance.roundtrip.programs import Program

BYTES = "same bytes"
MESSAGE = "same message"
REFUSED = "refused"
DIFFERENT = "different"
GOOD = (BYTES, MESSAGE, REFUSED)


@dataclass(frozen=True)
class Cell:
    """What one program made of one specimen; `says` where it is `different`."""

    specimen: Specimen
    program: str
    outcome: str
    says: str = ""

    @property
    def good(self) -> bool:
        """Tell whether the message survived, or what is none was refused."""
        return self.outcome in GOOD


def judge(
    contract: Contract,
    program: Program,
    wanted: Sequence[Specimen],
    done: Callable[[], object] = lambda: None,
) -> list[Cell]:
    """Send every specimen through a program; raises `ProgramTrouble`.

    `done` is called after each of them.
    """

    def one(specimen: Specimen) -> Cell:
        cell = _judge(contract, program, specimen)
        done()
        return cell

    with ThreadPoolExecutor(os.cpu_count() or 1) as pool:
        return list(pool.map(one, wanted))


def _judge(contract: Contract, program: Program, specimen: Specimen) -> Cell:
    output = program.run(specimen.schema, specimen.data)

    def cell(outcome: str, says: str = "") -> Cell:
        return Cell(specimen, program.name, outcome, says)

    if output.broke is not None:
        return cell(DIFFERENT, f"the program {output.broke}")
    if not specimen.valid:
        good = output.data is None
        return cell(REFUSED) if good else cell(DIFFERENT, "accepted, although it is no message")
    if output.data is None:
        return cell(DIFFERENT, "a valid message was refused")
    types = payloads.types(contract)
    before = types.decode(specimen.schema, specimen.data)
    if output.data == payloads.serialize(before):  # then the message is the same, too
        return cell(BYTES)
    try:
        after = types.decode(specimen.schema, output.data)
    except payloads.DecodeError:
        return cell(DIFFERENT, "the output is no message of the type")
    found = difference(before, after)
    return cell(MESSAGE) if found is None else cell(DIFFERENT, found)
