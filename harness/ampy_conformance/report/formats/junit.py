"""JUnit XML for CI systems, as both schemas in wide use have it: Jenkins' xunit and Ant's JUnit.

What only one of them allows is left out: a warning stands in the output of the suite, not of its
test case, every suite has properties and both outputs, and every failure and error has a type.
"""

from __future__ import annotations

import json
import xml.etree.ElementTree as ET
from typing import TYPE_CHECKING

from ampy_conformance.report import facts

if TYPE_CHECKING:
    from ampy_conformance.report.lines import Line, Report

WHAT = "JUnit XML for CI systems"
SUFFIX = ".xml"
BAD = ("failure", "error")
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
    nodes = [_case(report, each) for each in report.cases]
    if report.end["trouble"]:
        node = ET.Element("testcase", classname="ampy-conform", name="run", time="0")
        ET.SubElement(node, "error", type="trouble", message=report.end["trouble"])
        nodes.append(node)
    elif report.end["exit"] and not any(e.find(t) is not None for e in nodes for t in BAD):
        # Who reads the XML alone must not take for green what is not.
        node = ET.Element("testcase", classname="ampy-conform", name="verdict", time="0")
        ET.SubElement(node, "error", type="verdict", message=report.end["verdict"])
        nodes.append(node)
    suite = ET.Element(
        "testsuite",
        id="0",
        package="ampy-bus-conformance",
        name=f"{facts.binding(report)} on {facts.broker(report)}",
        hostname="localhost",
        timestamp=report.run["started"][:19],
        time=f"{report.end['seconds']:.3f}",
        tests=str(len(nodes)),
        failures=_count(nodes, "failure"),
        errors=_count(nodes, "error"),
        skipped=_count(nodes, "skipped"),
    )
    properties = ET.SubElement(suite, "properties")
    for name, value in _properties(report).items():
        ET.SubElement(properties, "property", name=name, value=value)
    suite.extend(nodes)
    warned = [each for each in report.cases if each["outcome"] == "warn"]
    ET.SubElement(suite, "system-out").text = "".join(
        f"warning: {each['id']}: {each['says']}\n" for each in warned
    )
    ET.SubElement(suite, "system-err").text = "".join(f"{each}\n" for each in report.end["stale"])
    top = ET.Element("testsuites")
    top.append(suite)
    return bytes(ET.tostring(top, encoding="utf-8", xml_declaration=True))


def _count(nodes: list[ET.Element], tag: str) -> str:
    return str(sum(node.find(tag) is not None for node in nodes))


def _properties(report: Report) -> dict[str, str]:
    run = report.run
    found = {
        "verdict": report.end["verdict"],
        "exit": str(report.end["exit"]),
        "seed": str(run["seed"]),
        "suite": f"{run['suite']['version']} {run['suite']['digest']}",
        "contract": f"{run['contract']['version']} {run['contract']['digest']}",
    }
    counts = facts.counts(report.clauses.values())
    return found | {f"clauses {name}": str(count) for name, count in counts.items()}


def _case(report: Report, line: Line) -> ET.Element:
    module, _, name = line["id"].partition("::")
    node = ET.Element(
        "testcase",
        classname=module.removesuffix(".py").replace("/", "."),
        name=name or module,
        time=f"{line['seconds']:.3f}",
    )
    tag = AS_ELEMENT.get(line["outcome"])
    if tag == "skipped":
        ET.SubElement(node, tag, message=f"{line['outcome']}: {line['says']}")
    elif tag:
        child = ET.SubElement(node, tag, type=line["outcome"], message=line["says"])
        child.text = "\n".join(
            (
                f"expected: {_value(line['expected'])}",
                f"seen: {_value(line['seen'])}",
                f"again: {facts.reproduce(report, line)}",
            )
        )
    return node


def _value(value: object) -> str:
    return value if isinstance(value, str) else json.dumps(value, ensure_ascii=False)
