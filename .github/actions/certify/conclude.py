"""Outputs and summary of the action `certify`, from the report; ends with the code of the verdict.

    python conclude.py REPORT CODE

CODE is what `ampy-conform certify` ended with. Where it says that all is well, the report must be
there, whole, and say the same: otherwise there is no verdict, and the code is 3.
"""

from __future__ import annotations

import os
import sys
from pathlib import Path

from ampy_conformance.report import lines

WORDS = {
    0: "conformant", 1: "not-conformant", 2: "usage", 3: "failure",
    4: "nothing-ran", 5: "stale-known-failure", 6: "inconclusive",
}  # fmt: skip
FAILURE = 3


def main(path: Path, code: int) -> int:
    """Write outputs and summary, and return the code to end with."""
    says, selected = "", False
    if path.is_file():
        try:
            report = lines.read(path)
        except lines.CorruptReport as error:
            says, code = str(error), code or FAILURE
        else:
            says, selected = str(report.end["verdict"]), bool(report.run.get("selection"))
            if report.end["exit"] != code:
                says = f"the report says {report.end['exit']}, the command ended with {code}"
                code = code or FAILURE
    elif code == 0:
        says, code = "the command ended well and left no report", FAILURE
    word = WORDS.get(code, "failure")
    if code == 0 and selected:
        word = "selection-passed"  # never more than what was asked for
    outputs = {"verdict": word, "exit-code": str(code)}
    if path.is_file():
        outputs["report"] = str(path)
    _append("GITHUB_OUTPUT", "".join(f"{name}={value}\n" for name, value in outputs.items()))
    _append("GITHUB_STEP_SUMMARY", f"## ampy-conform: {word}\n\n{_plain(says)}\n\n")
    if code:
        print(f"::error title=ampy-conform::{word} (exit {code}) {_plain(says)}")
    return code


def _append(variable: str, text: str) -> None:
    target = os.environ.get(variable)
    if target:
        with Path(target).open("a", encoding="utf-8") as file:
            file.write(text)


def _plain(text: str) -> str:
    """Return one line without anything that Markdown, HTML or a runner would act upon."""
    return " ".join("".join(each if each not in "<>`[]|%" else " " for each in text).split())


if __name__ == "__main__":
    sys.exit(main(Path(sys.argv[1]), int(sys.argv[2])))
