"""JUnit XML for CI systems, rendered from the canonical report."""

from __future__ import annotations

import re
import xml.etree.ElementTree as ET
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from ampy_conformance.report.lines import Line, Report

# What XML 1.0 cannot carry at all; such characters are shown as escapes.
ILLEGAL = re.compile("[^\t\n\r\x20-\ud7ff\ue000-\ufffd\U00010000-\U0010ffff]")
LIMIT = 20_000
AS_ELEMENT = {
    "fail": "failure",
    "error": "error",
    "inconclusive": "error",
    "not run": "skipped",
    "not claimed": "skipped",
    "known failure": "skipped",
}


def render(report: Report) -> bytes:
    """Return the report as one JUnit test suite, a test case a case."""
    suite = ET.Element("testsuite", name="ampy-bus-conformance")
    tally = {"failure": 0, "error": 0, "skipped": 0}
    for each in report.cases:
        node = _case(each)
        suite.append(node)
        for name in tally:
            tally[name] += node.find(name) is not None
    if report.end["trouble"]:
        node = ET.SubElement(suite, "testcase", classname="ampy-conform", name="run", time="0")
        ET.SubElement(node, "error", message=_text(report.end["trouble"]))
        tally["error"] += 1
    suite.set("tests", str(len(suite)))
    suite.set("failures", str(tally["failure"]))
    suite.set("errors", str(tally["error"]))
    suite.set("skipped", str(tally["skipped"]))
    suite.set("time", str(report.end["seconds"]))
    suite.set("timestamp", report.run["started"][:19])
    top = ET.Element("testsuites")
    top.append(suite)
    return bytes(ET.tostring(top, encoding="utf-8", xml_declaration=True))


def _case(line: Line) -> ET.Element:
    module, _, name = line["id"].partition("::")
    node = ET.Element(
        "testcase",
        classname=_text(module.removesuffix(".py").replace("/", ".")),
        name=_text(name),
        time=str(line["seconds"]),
    )
    element = AS_ELEMENT.get(line["outcome"])
    if element:
        child = ET.SubElement(node, element, message=_text(line["says"]))
        if element != "skipped":
            child.set("type", line["outcome"])
            child.text = _text(f"expected: {line['expected']}\nseen: {line['seen']}")
    elif line["outcome"] == "warn":
        ET.SubElement(node, "system-out").text = _text(f"warning: {line['says']}")
    return node


def _text(value: object) -> str:
    """Return text that any XML 1.0 parser accepts, bounded."""
    text = ILLEGAL.sub(lambda found: f"\\u{ord(found[0]):04x}", str(value))
    return text if len(text) <= LIMIT else f"{text[:LIMIT]}... (cut)"
